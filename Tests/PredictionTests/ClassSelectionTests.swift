import BEiTImageIO
import BEiTTensorCore
import Testing

@testable import BEiTPrediction

@Suite struct ClassSelectionTests {
    private let classes = LabelClass.named(["background", "cat", "dog", "road "])

    private func selection(_ change: (inout ClassSelection) -> Void) -> ClassSelection {
        var selection = ClassSelection()
        change(&selection)
        return selection
    }

    @Test func classesKeepTheirPlaces() throws {
        let merges = [ClassSelection.Merge(["dog", "cat"], as: "animal"), .init(["road"], as: "street")]
        let merged = try ResultClasses(classes, selection { $0.merges = merges })
        #expect(merged.classes.map(\.name) == ["background", "animal", "dog", "street"])
        #expect(merged.merging == [0, 1, 1, 3] && merged.possible == [0, 1, 3] && merged.void == nil)
        let only = try ResultClasses(classes, selection { ($0.merges, $0.only) = (merges, ["animal"]) })
        #expect(only.possible == [1] && only.none == 4 && only.void == 255 && only.values == [0, 1, 2, 3, 255])
        #expect(only.palette.count == 5)
    }

    @Test func aClassCanBecomeOneThatIsThere() throws {
        let into = try ResultClasses(classes, selection { $0.merges = [.init(["dog"], as: "cat")] })
        #expect(into.merging == [0, 1, 1, 3] && into.classes[1].name == "cat")
        let twice = selection { $0.merges = [.init(["cat"], as: "animal"), .init(["dog"], as: "animal")] }
        #expect(try ResultClasses(classes, twice).merging == [0, 1, 1, 3])
        let marked = selection { ($0.only, $0.void) = (["dog"], 0) }
        let background = try ResultClasses(classes, marked)
        #expect(background.none == 0 && background.void == nil && background.possible == [0, 2])
    }

    @Test func whatDoesNotGoWithTheModelIsNamed() {
        func error(_ change: (inout ClassSelection) -> Void) -> SelectionError? {
            do throws(SelectionError) {
                _ = try ResultClasses(classes, selection(change))
                return nil
            } catch { return error }
        }
        #expect(error { $0.only = ["Dog"] } == .unknown("Dog", nearest: "dog"))
        #expect(error { $0.merges = [.init(["x"], as: "y")] } == .unknown("x", nearest: nil))
        let merges = [ClassSelection.Merge(["cat"], as: "a"), .init(["cat", "dog"], as: "b")]
        #expect(error { $0.merges = merges } == .mergedTwice("cat"))
        #expect(error { ($0.merges, $0.only) = ([.init(["cat", "dog"], as: "animal")], ["dog"]) } != nil)
        #expect(error { ($0.only, $0.void) = (["dog"], 70_000) } == .cannotMark(void: 70_000))
    }

    @Test func manyClassesMarkWithMore() throws {
        let sure = selection { $0.minimumConfidence = 0.5 }
        #expect(try ResultClasses(LabelClass.unnamed(255), sure).void == 255)
        #expect(try ResultClasses(LabelClass.unnamed(256), sure).void == 65_535)
    }

    /// Against the probabilities of a run without a selection.
    @Test(arguments: [false, true]) func probabilitiesAreAddedUpAndThresholded(_ flips: Bool) throws {
        var options = InferenceOptions()
        (options.resizing, options.flips) = (.none, flips)
        let network = patchwork(WindowSize(patch: 4, rows: 3, columns: 3), sharpness: 0.4)
        let photo = PreparedPhoto(noise(width: 31, height: 20, seed: 7), PhotoPlan(network, options))
        var all: [Float] = []
        let plain = try PhotoSegmenter(network, options).segment(photo) { all += $1.values }
        let asked = selection {
            ($0.merges, $0.only, $0.minimumConfidence) = ([.init(["a", "c"], as: "ac")], ["ac"], 0.6)
        }
        let classes = try ResultClasses(LabelClass.named(["a", "b", "c"]), asked)
        let found = try PhotoSegmenter(network, options, classes: classes).segment(photo, .confidence)
        var wanted: [UInt16] = []
        for place in 0..<31 * 20 {
            let (merged, other) = (all[3 * place] + all[3 * place + 2], all[3 * place + 1])
            #expect(abs(found.confidence[place] - max(merged, other)) < 1e-5)
            wanted.append(merged >= other && merged >= 0.6 ? 0 : 3)
        }
        #expect(found.classes == wanted)
        // Adding up finds more than joining what single classes have won.
        let won = plain.classes.count { $0 != 1 }
        #expect(Set(wanted) == [0, 3] && wanted.count { $0 == 0 } != won)
    }
}
