import BEiTFiles
import Testing

@Suite struct JSONTextTests {
    struct Values: Codable, Equatable {
        var path = "a/b"
        var count = 2
        var loss = 0.5
    }

    @Test func keysAreSortedAndSlashesKept() throws {
        #expect(try JSONText.line(Values()) == #"{"count":2,"loss":0.5,"path":"a/b"}"#)
        #expect(
            try JSONText.pretty(Values()) == """
                {
                  "count" : 2,
                  "loss" : 0.5,
                  "path" : "a/b"
                }
                """)
    }

    @Test func errorsNameFileAndPlace() {
        func error(_ text: String) -> String {
            do throws(JSONError) { return "\(try JSONText.decode(Values.self, from: text.utf8, of: "x.json"))" } catch {
                return error.description
            }
        }
        #expect(error(#"{"count": 1, "loss": 1}"#) == "x.json: path is missing at the top level; make the file anew")
        #expect(error(#"{"path": "", "count": "1", "loss": 1}"#) == "x.json: count makes no sense; make the file anew")
        #expect(error("{") == "x.json: it is not JSON; make the file anew")
        #expect(throws: JSONError.inexpressible(reason: "loss is inf, which JSON cannot express")) {
            try JSONText.line(Values(loss: .infinity))
        }
    }
}

@Suite struct TextTableTests {
    @Test func columnsAreAsWideAsTheirWidestCell() {
        var table = TextTable([.left, .right, .left])
        table.add(["name", "n", "note"])
        table.add(["空", "1000", ""])
        table.add(["e\u{301}t\u{E9}", "2", "x"])
        #expect(table.lines == ["name    n note", "空   1000", "e\u{301}t\u{E9}     2 x"])
    }

    @Test(arguments: [
        ("", 0), ("abc", 3), ("空地", 4), ("e\u{301}", 1), ("👩‍👩‍👧", 2), ("한", 2), ("ｱ", 1), ("\u{200B}", 0), ("█", 1),
    ])
    func columns(_ text: String, _ columns: Int) { #expect(text.terminalColumns == columns) }

    @Test func whatDoesNotFitIsCutOnce() {
        #expect("photo.png".truncated(toColumns: 9) == "photo.png")
        #expect("photo.png".truncated(toColumns: 6) == "photo…")
        #expect("空地空地".truncated(toColumns: 6) == "空地…")
        #expect("空地".truncated(toColumns: 0) == "")
    }

    @Test func cellsAreQuotedWhereTheyMust() {
        var table = CSV(["a", "b"])
        table.add(["x,y", "say \"z\""])
        table.add(["line\nbreak", ""])
        #expect(table.text == "a,b\n\"x,y\",\"say \"\"z\"\"\"\n\"line\nbreak\",\n")
    }
}
