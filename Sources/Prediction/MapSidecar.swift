import BEiTFiles
import BEiTImageIO
import Foundation

/// The files that tell map programs where a PNG lies: a world file, and GDAL's `.aux.xml` for the coordinate system.
enum MapSidecar {
    /// Beside a PNG of this name.
    static func names(_ png: String, _ reference: GeoReference?) -> [String] {
        guard let reference else { return [] }
        return [worldFile(png)] + (reference.epsg == nil ? [] : [system(png)])
    }

    private static func worldFile(_ png: String) -> String { png.withoutEnding + ".pgw" }
    private static func system(_ png: String) -> String { png + ".aux.xml" }

    /// Writes what is needed, and removes what an earlier run left of a photo that lay elsewhere. Throws ``FileError``.
    static func write(beside png: String, _ reference: GeoReference?) throws {
        let needed = names(png, reference)
        for path in [worldFile(png), system(png)] where !needed.contains(path) {
            path.withFileSystemName { _ = unlink($0) }
        }
        guard let reference else { return }
        try AtomicFile.write(reference.world, to: worldFile(png))
        if let epsg = reference.epsg {
            try AtomicFile.write("<PAMDataset>\n  <SRS>EPSG:\(epsg)</SRS>\n</PAMDataset>\n", to: system(png))
        }
    }
}
