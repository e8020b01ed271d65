import CBEiTHDF5
import CBEiTHDF5Shim

extension HDF5Reader {
    /// The text of an attribute of the group or dataset `path`, of fixed or variable length; nil if it has none of this
    /// name. Of either kind no more is read than the file holds (``HeapReference`` says how).
    package func attribute(_ name: String, at path: String = "/") throws -> String? {
        try withAttribute(name, at: path) { attribute in
            let type = try attribute.type()
            guard H5Tget_class(type.id) == H5T_STRING else { throw attribute.wrongType("text") }
            let text =
                H5Tis_variable_str(type.id) > 0
                ? try attribute.variableText() : try attribute.fixedText(type)
            guard let text else { throw attribute.wrongType("text in UTF-8") }
            return text
        }
    }

    /// The integer of an attribute of the group or dataset `path`; nil if it has none of this name.
    package func integerAttribute(_ name: String, at path: String = "/") throws -> Int? {
        try withAttribute(name, at: path) { attribute in
            let type = try attribute.type()
            guard H5Tget_class(type.id) == H5T_INTEGER else { throw attribute.wrongType("an integer") }
            var value: Int64 = 0
            try attribute.read(Int64.native, to: &value)
            return Int(value)
        }
    }

    /// The number of an attribute of the group or dataset `path`; nil if it has none of this name.
    package func floatAttribute(_ name: String, at path: String = "/") throws -> Double? {
        try withAttribute(name, at: path) { attribute in
            let type = try attribute.type()
            guard [H5T_INTEGER, H5T_FLOAT].contains(H5Tget_class(type.id)) else {
                throw attribute.wrongType("a number")
            }
            var value = 0.0
            try attribute.read(beitseg_h5t_native_double(), to: &value)
            return value
        }
    }

    private func withAttribute<Value>(
        _ name: String, at path: String, _ body: (Attribute) throws -> Value
    ) throws -> Value? {
        try Library.locked {
            _ = try entry(path)
            let label = path + " attribute " + name
            let failure = { [file] in HDF5Error.cannotRead(file: file, path: label, reason: $0) }
            let object = try Handle(H5Oopen(root.id, path, hid_t(H5P_DEFAULT)), H5Oclose, orThrow: failure)
            let exists = H5Aexists(object.id, name)
            guard exists >= 0 else { throw failure(Library.reason) }
            guard exists > 0 else { return nil }
            let handle = try Handle(H5Aopen(object.id, name, hid_t(H5P_DEFAULT)), H5Aclose, orThrow: failure)
            let space = try Handle(H5Aget_space(handle.id), H5Sclose, orThrow: failure)
            let count = H5Sget_simple_extent_npoints(space.id)
            guard count == 1 else {
                throw HDF5Error.wrongShape(file: file, path: label, expected: "one value", found: "\(count) values")
            }
            return try body(
                Attribute(handle: handle, file: file, label: label, contents: HeapFile(root, size: fileSize)))
        }
    }
}

/// An open attribute of one value.
private struct Attribute {
    let handle: Handle
    let file: String
    let label: String
    let contents: HeapFile?

    func type() throws -> Handle { try Handle(H5Aget_type(handle.id), H5Tclose, orThrow: failure) }

    func read(_ type: hid_t, to target: UnsafeMutableRawPointer) throws {
        guard H5Aread(handle.id, type, target) >= 0 else { throw failure(Library.reason) }
    }

    /// nil if it is not UTF-8. Ends at the first zero byte.
    func variableText() throws -> String? {
        guard let contents else { throw failure("texts of variable length are read from files on disk alone") }
        let type = try Handle(beitseg_h5_reference_type(), H5Tclose, orThrow: failure)
        var reference = [UInt8](repeating: 0, count: HeapReference.byteCount)
        try read(type.id, to: &reference)
        switch HeapReference(reference).text(in: contents) {
        case .success(let bytes): return String(validating: bytes.prefix { $0 != 0 }, as: UTF8.self)
        case .failure(let problem): throw failure(problem.reason)
        }
    }

    /// nil if it is not UTF-8. Ends at the first zero byte, or at the padding of spaces that Fortran writes.
    func fixedText(_ type: Handle) throws -> String? {
        let size = H5Tget_size(type.id)
        guard size <= HeapFile.mostText, size <= contents?.size ?? .max else {
            throw failure("it declares a text of \(size) bytes")
        }
        var bytes = [UInt8](repeating: 0, count: size)
        try read(type.id, to: &bytes)
        var text = bytes.prefix { $0 != 0 }
        if H5Tget_strpad(type.id) == H5T_STR_SPACEPAD { while text.last == UInt8(ascii: " ") { text.removeLast() } }
        return String(validating: text, as: UTF8.self)
    }

    func failure(_ reason: String) -> HDF5Error { .cannotRead(file: file, path: label, reason: reason) }

    func wrongType(_ expected: String) -> HDF5Error {
        .wrongType(file: file, path: label, expected: expected, found: "something else")
    }
}
