import BEiTTensorCore

/// The classes and functions that occur in files of weights. Each is a name to beit-seg: an object of it is kept as data
/// (``PickleNode/Kind/record(_:)``), and the few functions that make up tensors are done here. Any other name ends the
/// reading.
enum PickleClasses {
    /// What calling it gives.
    enum Meaning: Equatable {
        case tensor, typedTensor, parameter, subclass
        case list, tuple, set, dict
        case bytes, scalar, array, object, storageBytes, same
        case record
    }

    /// Nil for a name that is none of the known ones.
    static func meaning(of name: String) -> Meaning? {
        if let meaning = known[name] { return meaning }
        let isKnown =
            records.contains(name) || dtype(name) != nil || storageType(name) != nil
            || families.contains { name.hasPrefix($0) }
        return isKnown ? .record : nil
    }

    private static let known: [String: Meaning] = {
        var known: [String: Meaning] = [
            "torch._utils._rebuild_tensor": .tensor, "torch._utils._rebuild_tensor_v2": .tensor,
            "torch._utils._rebuild_tensor_v3": .typedTensor,
            "torch._utils._rebuild_parameter": .parameter,
            "torch._utils._rebuild_parameter_with_state": .parameter,
            "torch._tensor._rebuild_from_type_v2": .subclass,
            "torch.storage._load_from_bytes": .storageBytes,
            "torch.Size": .same, "_codecs.encode": .bytes,
            "collections.OrderedDict": .dict, "collections.Counter": .dict,
            "copy_reg._reconstructor": .object, "copyreg._reconstructor": .object,
        ]
        for module in ["__builtin__", "builtins"] {
            known[module + ".list"] = .list
            known[module + ".tuple"] = .tuple
            known[module + ".set"] = .set
            known[module + ".frozenset"] = .set
            known[module + ".dict"] = .dict
        }
        for module in ["numpy.core", "numpy._core"] {
            known[module + ".multiarray._reconstruct"] = .array
            known[module + ".multiarray.scalar"] = .scalar
        }
        return known
    }()

    private static let records: Set<String> = [
        "argparse.Namespace", "types.SimpleNamespace", "collections.defaultdict", "collections.deque",
        "torch.device", "torch.Tensor", "torch._tensor.Tensor", "torch.Generator", "torch.torch_version.TorchVersion",
        "torch.backends.cudnn.rnn.Unserializable", "torch.serialization._get_layout",
        "torch.utils.hooks.RemovableHandle",
        "torch.cuda.amp.grad_scaler.GradScaler", "torch.amp.grad_scaler.GradScaler",
        "torch.amp.grad_scaler.OptState", "torch.cuda.amp.grad_scaler.OptState",
        "torch.distributed.fsdp.sharded_grad_scaler.ShardedGradScaler",
        "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath", "pathlib.PureWindowsPath", "pathlib.Path",
        "pathlib._local.PosixPath", "pathlib._local.WindowsPath",
        "pathlib._local.PurePosixPath", "pathlib._local.PureWindowsPath",
        "mmengine.logging.history_buffer.HistoryBuffer", "mmengine.config.config.ConfigDict",
        "mmengine.config.config.Config", "mmcv.utils.config.ConfigDict", "mmcv.utils.config.Config",
        "addict.addict.Dict", "yacs.config.CfgNode", "easydict.EasyDict",
        "numpy.ndarray", "numpy.dtype",
        "datetime.datetime", "datetime.date", "datetime.timedelta", "datetime.timezone", "uuid.UUID",
        "decimal.Decimal", "fractions.Fraction", "enum.Enum",
        "__builtin__.object", "builtins.object", "__builtin__.int", "builtins.int", "__builtin__.long",
        "__builtin__.float", "builtins.float", "__builtin__.str", "builtins.str", "__builtin__.unicode",
        "__builtin__.bool", "builtins.bool", "__builtin__.bytearray", "builtins.bytearray",
        "__builtin__.complex", "builtins.complex", "__builtin__.slice", "builtins.slice",
        "__builtin__.range", "builtins.range",
    ]

    /// Modules of classes that have nothing but data in files: layers, optimizers, types of NumPy.
    private static let families = [
        "torch.nn.", "torch._C._nn.", "torch.optim.", "dall_e.", "numpy.dtypes.", "numpy.int", "numpy.uint",
        "numpy.float", "numpy.bool", "apex.optimizers.", "apex.amp.scaler.", "timm.optim.", "timm.scheduler.",
    ]

    /// `torch.float32` and the like.
    static func dtype(_ name: String) -> ElementType? {
        name.hasPrefix("torch.") ? dtypes[String(name.dropFirst(6))] : nil
    }

    private static let dtypes: [String: ElementType] = [
        "float64": .float64, "double": .float64, "float32": .float32, "float": .float32, "float16": .float16,
        "half": .float16, "bfloat16": .bfloat16, "int64": .int64, "long": .int64, "int32": .int32, "int": .int32,
        "int16": .int16, "short": .int16, "int8": .int8, "uint8": .uint8, "uint16": .uint16, "uint32": .uint32,
        "uint64": .uint64, "bool": .uint8, "complex64": .other("complex64"), "complex128": .other("complex128"),
        "complex32": .other("complex32"), "float8_e4m3fn": .other("float8"), "float8_e5m2": .other("float8"),
        "strided": .other("layout"), "contiguous_format": .other("format"), "preserve_format": .other("format"),
    ]

    /// What a storage of this class holds: `torch.FloatStorage`, `torch.storage.UntypedStorage` (bytes) and the like.
    static func storageType(_ name: String) -> ElementType? {
        let modules = ["torch.storage.", "torch.cuda.", "torch."]
        guard let module = modules.first(where: { name.hasPrefix($0) }) else { return nil }
        return storageTypes[String(name.dropFirst(module.count))]
    }

    private static let storageTypes: [String: ElementType] = [
        "DoubleStorage": .float64, "FloatStorage": .float32, "HalfStorage": .float16, "BFloat16Storage": .bfloat16,
        "LongStorage": .int64, "IntStorage": .int32, "ShortStorage": .int16, "CharStorage": .int8,
        "ByteStorage": .uint8, "BoolStorage": .uint8, "UntypedStorage": .uint8, "_UntypedStorage": .uint8,
    ]
}
