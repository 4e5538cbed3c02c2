"""Writes src/graph/atb-rules/*.ts from extracts of ATB's sources.

usage: generate.py FOLDER   with atb-json-keys.txt (keys that the BaseOperation parser reads, with defaults),
atb-json-enums.txt (its enum strings) and atb-op-dtypes.txt (rows of ATB's atb_ops_info.ini, Atlas 800I A2 among them).
"""
import pathlib
import re
import sys

OPS = """Gather Linear LinearParallel Split Slice Concat Transpose Elewise Activation RmsNorm LayerNorm Rope ReshapeAndCache
SelfAttention PagedAttention AllReduce AllGather Softmax Sort Sigmoid Cast Reduce Cumsum Repeat Fill Where SetValue DynamicQuant W8A16MatMul W4A16MatMul W8A8MatMul
GroupedMatmul GroupTopk VectorNorm MoeInitRouting MoeTokenUnpermute""".split()

# Fields of the nested blocks (infer_op_params.h); the parser names the blocks only. "opMode " is the parser's own spelling.
NORM = {"quantType": "enum:QuantType", "epsilon": "number"}
BLOCKS = {
    "Elewise.quantParam": {"inputScale": "number", "asymmetric": "bool", "inputOffset": "integer"},
    "Elewise.mulsParam": {"varAttr": "number"},
    "RmsNorm.normParam": {**NORM, "layerNormEps": "number", "rstd": "bool", "precisionMode": "enum:RmsNormParam::PrecisionMode",
                          "modelType": "enum:RmsNormParam::ModelType", "dynamicQuantType": "enum:DynamicQuantType"},
    "RmsNorm.preNormParam": {**NORM, "hasBias": "bool"},
    "RmsNorm.postNormParam": {**NORM, "hasBias": "bool"},
    "LayerNorm.normParam": {**NORM, "beginNormAxis": "integer", "beginParamsAxis": "integer",
                            "dynamicQuantType": "enum:DynamicQuantType"},
    "LayerNorm.preNormParam": {**NORM, "opMode ": "integer", "zoomScaleValue": "number"},
    "LayerNorm.postNormParam": {**NORM, "opMode ": "integer", "zoomScaleValue": "number"},
}

# Keys that the parser asks for by contains(), so that its extract has no default.
REQUIRED = {"Cast": {"dtype": "enum:aclDataType"}}

# Enums of which the parser takes integers only.
INTEGERS = {"GroupTopk.groupMultiFlag", "GroupedMatmul.quantType"}

# Lists of floats.
FLOATS = {"Fill.value"}

SECTIONS = re.compile(
    r"^(Gather|GroupTopk|Concat|Rope|ReshapeAndCache|Slice|Softmax|Transpose|AllReduce|AllGather|Cumsum|Repeat|Where|SetValue)Operation$"
    r"|^ReduceOperation(SUM)?$|^FillOperationWith(out)?Mask$"
    r"|^ActivationOperation(GELU|SWIGLUFORWARD|SWIGLUBACKWARD|LOG|RELU|FASTGELU|SIGMOID|SWISH)$"
    r"|^ElewiseOperation(Cast|Muls|Cos|Sin|Neg|Add|Sub|Mul|RealDiv|Tanh|LogicalNot|LogicalAnd|LogicalOr|Less|Greater|Equal|QuantPerChannel)$"
    r"|^SplitOperation(BISECT|TRISECT)$|^SortOperationA2and950$"
    r"|^LayerNormOperation(Norm|NormQuant|Prenorm|Postnorm|PostnormQuant)$"
    r"|^RmsNormOperation(NORMAndQUANTUNDEFINEDWithoutRSTD|NORMAndQUANTParamInTensor|PRENORM|PRENORMNoBias|PRENORMAndQUANT|POSTNORM|POSTNORMNoBias|POSTNORMAndQUANT)$"
    r"|^LinearOperationMatmul(((WithBias)?|Dequant(WithBias)?(Float16|Bf16))Atlas800IA2|Accum)$"
    r"|^LinearParallel(Cover)?Operation(WithResidual|WithoutResidual)(Lcoc)?$"
    r"|^ReshapeAndCacheOperationSISO$"
    r"|^SelfAttentionOperation(Encoder(Mask0)?|MLA(Mask)?)$"
    r"|^PagedAttentionOperationMla(Mask)?(Qlens)?$"
    r"|^PagedAttentionOperationQKVQuantOnline0QKVQuantOffline0RazorOffset0QLens[01]Mask[01]Batch0Quant0Offset0$")


def literal(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def key_types(line, enums):
    op, _, rest = line.partition(": ")
    keys = dict(REQUIRED.get(op, {}))
    for part in re.findall(r"(\w+)=((?:\[\]|\{\}|\"[^\"]*\"|[^,]+?))(?: <(\w+)>)?(?:, |$)", "" if "no keys" in rest else rest):
        name, default, enum = part
        if f"{op}.{name}" in BLOCKS:
            keys[name] = BLOCKS[f"{op}.{name}"]
        elif f"{op}.{name}" in INTEGERS:
            keys[name] = "integer"
        elif enum:
            scoped = [e for e in (f"{op}Param::{enum}", enum) if e in enums]
            keys[name] = f"enum:{scoped[0]}"
        elif default in ("true", "false"):
            keys[name] = "bool"
        elif default == "[]":
            keys[name] = "numbers" if f"{op}.{name}" in FLOATS else "integers"
        elif default == "{}":
            keys[name] = {}
        elif default.startswith('"'):
            keys[name] = "string"
        elif default == "nullptr":
            continue  # a pointer: nothing that JSON can say
        else:
            # The parser takes a number for what its default is, and cuts fractions off where that is an integer.
            keys[name] = "number" if re.search(r"[.e]", default) else "integer"
    return op, keys


def columns(section):
    """The rows of one INI section whose tensors are all in ND format: 'in in > out'."""
    def tensors(text):
        found = []
        for tensor in filter(None, (t.strip() for t in text.split(" | "))):
            spec = re.sub(r"\(optional=true\)", "", tensor).partition(":")[2].strip()
            dtypes, _, formats = spec.partition(" fmt:")
            expand = []
            for item in dtypes.split(","):
                name, _, times = item.strip().partition("*")
                expand += [name] * int(times or 1)
            shapes = formats.split(",") if formats else ["nd"] * len(expand)
            found.append((expand, (shapes * len(expand))[:len(expand)] if len(shapes) == 1 else shapes))
        return found
    ins, _, outs = section.partition(" -> OUT")
    inputs, outputs = tensors(ins.partition("IN")[2].strip()), tensors(outs.strip())
    rows = []
    for i in range(len((inputs + outputs)[0][0])):
        if all(fmt[i].strip() == "nd" for _, fmt in inputs + outputs):
            row = " ".join(d[i] for d, _ in inputs) + " > " + " ".join(d[i] for d, _ in outputs)
            if row not in rows:
                rows.append(row)
    return rows


def main():
    source = pathlib.Path(sys.argv[1])
    target = pathlib.Path(__file__).resolve().parents[2] / "src/graph/atb-rules"
    enums = {}
    for line in (source / "atb-json-enums.txt").read_text().splitlines():
        name, _, values = line.partition(": ")
        enums[name] = [v.strip() for v in values.split(",")]
    read = (source / "atb-json-keys.txt").read_text().splitlines()
    lines = dict(key_types(line, enums) for line in read if line.partition(":")[0] in OPS)

    used = set()
    out = ["// Generated by tools/atb-rules/generate.py from ATB's BaseOperation parser and infer_op_params.h.", "",
           "import type { KeyTypes } from './key-types.js';", "",
           "/** The keys that ATB reads of each operation's JSON, and what they hold. Others are ignored silently there. */",
           "export const OP_KEYS: Readonly<Record<string, KeyTypes>> = {"]

    def show(value, depth):
        if isinstance(value, str):
            if value.startswith("enum:"):
                used.add(value[5:])
            return literal(value)
        inner = ", ".join(f"{k if re.fullmatch('[A-Za-z_]+', k) else literal(k)}: {show(v, depth + 1)}" for k, v in value.items())
        return "{ " + inner + " }" if inner else "{}"

    for op in OPS:
        out.append(f"  {op}: {show(lines[op], 0)},")
    others = sorted(op for op in (line.partition(":")[0] for line in read) if op not in OPS)
    out += ["};", "", "/** Those that the parser knows, and for whose inputs and params this package has no rules. */",
            f"export const OTHER_OPS: readonly string[] = [{', '.join(map(literal, others))}];", ""]
    (target / "op-keys.ts").write_text("\n".join(out))

    out = ["// Generated by tools/atb-rules/generate.py from ATB's BaseOperation parser.", "",
           "/** The strings of each enum; any other string, and any integer, silently becomes the first. */",
           "export const ENUM_STRINGS: Readonly<Record<string, readonly string[]>> = {"]
    for name in sorted(used):
        out.append(f"  {literal(name)}: [{', '.join(map(literal, enums[name]))}],")
    out += ["};", ""]
    (target / "enum-strings.ts").write_text("\n".join(out))

    out = ["// Generated by tools/atb-rules/generate.py from ATB's atb_ops_info.ini.", "",
           "/** dtypes that an operation takes together, 'in in > out', in ND format on Atlas 800I A2; by INI section. */",
           "export const DTYPE_ROWS: Readonly<Record<string, readonly string[]>> = {"]
    for line in (source / "atb-op-dtypes.txt").read_text().splitlines():
        name, _, section = line.partition(": ")
        if SECTIONS.match(name):
            out.append(f"  {name}: [{', '.join(map(literal, columns(section)))}],")
    out += ["};", ""]
    (target / "dtype-rows.ts").write_text("\n".join(out))


main()
