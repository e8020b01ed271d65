import BEiTDatasets
import BEiTImageIO

/// A photo at the sizes in which the network will see it, in memory.
package struct PreparedPhoto: Sendable {
    /// Of the photo, in pixels.
    package let width, height: Int
    /// One for each scale.
    let pictures: [(plan: WindowPlan, image: RGBImage)]

    /// Reads a photo and resizes it by the network's filter, antialiased as Pillow does it.
    ///
    /// A JPEG more than twice as large as any picture of it that is needed is decoded at 1/2, 1/4 or 1/8 of its size.
    /// Throws `FileError` or `ImageError`.
    package init(_ path: String, _ plan: PhotoPlan) throws {
        self = try Self.read(path, plan, keepingPhoto: false).prepared
    }

    /// As ``init(_:_:)``, a photo of a source.
    package init(_ photos: some PhotoSource, _ index: Int, _ plan: PhotoPlan) throws {
        let header = try photos.header(index)
        let plans = plan.windows(width: header.width, height: header.height)
        let photo = try photos.decode(index, shrinkingTo: PhotoPlan.sufficient(plans))
        self.init(photo, width: header.width, height: header.height, plans, plan.filter)
    }

    /// As ``init(_:_:)``, with the photo in its own size where that is wanted.
    static func read(
        _ path: String, _ plan: PhotoPlan, keepingPhoto keeps: Bool
    ) throws -> (prepared: PreparedPhoto, photo: RGBImage?) {
        let header = try imageHeader(path, page: plan.reading.page)
        let plans = plan.windows(width: header.width, height: header.height)
        let photo = try decodeImage(
            path, as: plan.reading, limits: plan.limits, shrinkingTo: PhotoPlan.sufficient(plans))
        let prepared = PreparedPhoto(photo, width: header.width, height: header.height, plans, plan.filter)
        guard keeps else { return (prepared, nil) }
        let isWhole = photo.width == header.width && photo.height == header.height
        return (prepared, isWhole ? photo : try decodeImage(path, as: plan.reading, limits: plan.limits))
    }

    /// - Parameter photo: of any size.
    package init(_ photo: RGBImage, _ plan: PhotoPlan) {
        self.init(
            photo, width: photo.width, height: photo.height, plan.windows(width: photo.width, height: photo.height),
            plan.filter)
    }

    private init(_ photo: RGBImage, width: Int, height: Int, _ plans: [WindowPlan], _ filter: ResizeFilter) {
        (self.width, self.height) = (width, height)
        pictures = plans.map { ($0, photo.resized(width: $0.width, height: $0.height, filter: filter)) }
    }

    /// Of the pictures.
    var bytes: Int { pictures.reduce(0) { $0 + $1.image.pixels.count } }

    var input: PhotoInput {
        PhotoInput(width: width, height: height, pictures: pictures.map { ($0.plan, WholePicture($0.image)) })
    }
}

/// What a photo needs before it goes through a network; known without the network itself, on any thread.
package struct PhotoPlan: Sendable {
    let size: WindowSize
    let filter: ResizeFilter
    let options: InferenceOptions
    package private(set) var reading: ImageReading

    package init(_ network: WindowNetwork, _ options: InferenceOptions) {
        (size, filter, self.options) = (network.size, network.filter, options)
        reading = options.reading.applied(to: network.reading)
    }

    /// For the page of an image that is meant.
    func of(_ image: InputImage) -> PhotoPlan {
        var plan = self
        plan.reading.page = image.page ?? reading.page
        return plan
    }

    package var limits: ImageLimits { ImageLimits(maximumPixels: options.maximumPixels) }

    /// One for each scale.
    func windows(width: Int, height: Int) -> [WindowPlan] {
        options.scales.map { WindowPlan(photoHeight: height, photoWidth: width, size, options, scale: $0) }
    }

    /// The short side at which a photo loses nothing that its pictures would show.
    static func sufficient(_ plans: [WindowPlan]) -> Int { 2 * (plans.map { min($0.height, $0.width) }.max() ?? 0) }
}

/// A photo on its way through the network.
struct PhotoInput {
    /// Of the photo, in pixels.
    let width, height: Int
    /// One for each scale.
    let pictures: [(plan: WindowPlan, rows: any PictureRows)]

    init(width: Int, height: Int, pictures: [(plan: WindowPlan, rows: any PictureRows)]) {
        (self.width, self.height, self.pictures) = (width, height, pictures)
    }

    /// A photo that is read row by row: in memory are the rows of one row of windows. The pictures are those of
    /// ``PreparedPhoto``.
    ///
    /// An image whose rows do not arrive one after another is decoded as a whole, within the options' limit.
    /// Throws `FileError` or `ImageError`.
    init(streaming path: String, _ plan: PhotoPlan) throws {
        let header = try imageHeader(path, page: plan.reading.page)
        let plans = plan.windows(width: header.width, height: header.height)
        let rows = try ImageRows(path, as: plan.reading, limits: plan.limits, shrinkingTo: PhotoPlan.sufficient(plans))
        let streamed = StreamedPictures(rows, plans.map { ($0.width, $0.height) }, filter: plan.filter)
        self.init(width: header.width, height: header.height, pictures: Array(zip(plans, streamed.pictures)))
    }
}
