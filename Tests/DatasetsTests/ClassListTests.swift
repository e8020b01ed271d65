import BEiTImageIO
import Testing

@testable import BEiTDatasets

@Suite struct ClassListTests {
    private func read(_ text: String) throws -> [LabelClass] {
        let set = try GeneratedSet()
        try set.write(text, to: "classes.txt")
        return try ClassList.read(set.path + "/classes.txt")
    }

    private static let wanted = [
        LabelClass(name: "sky", color: RGBColor(70, 130, 180)),
        LabelClass(name: "tall grass", color: RGBColor(0, 255, 1)),
    ]

    /// The same two classes as tools write them.
    @Test(arguments: [
        "sky 70 130 180\ntall grass 0 255 1\n", "sky\t70\t130\t180\r\ntall grass\t0\t255\t1\r\n",
        "\u{FEFF}sky 70 130 180\ntall grass 0 255 1", "sky 70 130 180\rtall grass 0 255 1\r",
        "sky 70 130 180 255\ntall grass 0 255 1 255\n", "sky, 70, 130, 180\ntall grass, 0, 255, 1\n",
        "name,r,g,b\nsky,70,130,180\ntall grass,0,255,1\n", "sky 70,130,180\ntall grass 0,255,1\n",
        "sky #4682B4\ntall grass #00ff01\n", "sky,#4682b4ff\ntall grass,#00ff01ff\n",
        "# label:color_rgb:parts:actions\nsky:70,130,180::\ntall grass:0,255,1::\n",
        "sky:70,130,180\ntall grass:0,255,1\n", "0 sky 70 130 180\n1 tall grass 0 255 1\n",
        "# name R G B\n\n  sky 70 130 180  \n\ntall grass 0 255 1\n",
        "0: sky 70 130 180\n1: tall grass 0 255 1\n", "sky;70;130;180\ntall grass;0;255;1\n",
    ])
    func theFormsOfTools(_ text: String) throws { #expect(try read(text) == Self.wanted) }

    @Test func coloursMayBeLeftOut() throws {
        #expect(
            try read("cat\ndoor, double door\nlane 2\n") == LabelClass.named(["cat", "door, double door", "lane 2"]))
        #expect(try read("background:0,0,0::\nperson:::\n").map(\.color) == [RGBColor(0, 0, 0), RGBColor(128, 0, 0)])
    }

    /// What could mean two things, or nothing, is refused, and the line is named.
    @Test(
        arguments: [
            ("sky 70 130 180 17\ngrass 0 255 1 40\n", "alpha"), ("sky 70 130 300\n", "line 1"),
            ("sky 70 130\n", "line 1"),
            ("1 sky\n2 grass\n", "numbers its classes from 1"), ("#ff0000 sky\n", "comment"), ("sky #ff00\n", "line 1"),
            ("{\"sky\": [1, 2, 3]}\n", "no list"), ("sky:70,130,300\n", "line 1"), ("sky 0.1 0.2 0.3\n", "line 1"),
            ("1 2 3\n", "line 1"), ("a\nb\na\n", "twice"), ("sky,\n", "line 1"), ("sky 1 2 3 4 5 6\n", "line 1"),
        ])
    func whatIsNotClearIsRefused(_ text: String, _ word: String) throws {
        let error = #expect(throws: DatasetError.self) { try read(text) }
        #expect(error?.reason.contains(word) == true && error?.exitStatus == 65, "\(error as Any)")
    }
}

@Suite struct ClassMatchingTests {
    @Test func classesGoByName() {
        let matching = ClassMatching(["dog", "cat"], in: ["background", "cat", "dog"])
        #expect(matching.places == [2, 1] && matching.complete == [2, 1] && !matching.isByPosition)
        #expect(matching.unused == ["background"] && matching.strangers.isEmpty)
    }

    /// As many classes, but one spelled otherwise: a stranger, and not the class in its place.
    @Test func strangersAreNamedWithWhatIsSpelledAlike() {
        let matching = ClassMatching(
            ["dog", "Bag", "trafic light", "tree_trunk", "x"], in: ["bag", "dog", "traffic light", "tree trunk", "y"])
        #expect(matching.places == [1, nil, nil, nil, nil] && matching.complete == nil && !matching.isByPosition)
        #expect(matching.strangerList == "Bag (bag?), trafic light (traffic light?), tree_trunk (tree trunk?), x")
        #expect(ClassMatching((0..<15).map { "x\($0)" }, in: (0..<15).map { "y\($0)" }).complete == nil)
    }

    @Test func positionCountsWhereOneSideHasNoNames() {
        let names = ["cat", "dog"], none = LabelClass.unnamed(2).map(\.name)
        #expect(ClassMatching(names, in: none).isByPosition && ClassMatching(none, in: names).complete == [0, 1])
        #expect(ClassMatching(names, in: LabelClass.unnamed(3).map(\.name)).complete == nil)
        #expect(
            ClassMatching(LabelClass.unnamed(2).map(\.name), in: LabelClass.unnamed(3).map(\.name)).complete == [0, 1])
    }

    @Test func severalClassesOfOneNameKeepTheirOrder() {
        #expect(ClassMatching(["crane", "ant", "crane"], in: ["crane", "crane", "ant"]).places == [0, 2, 1])
    }
}
