import { create } from "@bufbuild/protobuf";
import {
  type AttributeValue,
  buildModel,
  type ModelProto,
  mlDomain,
  node,
  tensor,
  tensorInfo,
} from "../../../../shared/onnx/index.ts";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  FunctionProtoSchema,
  GraphProtoSchema,
  OperatorSetIdProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
  TypeProtoSchema,
} from "../../../../shared/onnx/schema/onnx_pb.js";

/* Models as other exporters write them, with what the binding for Node, or this machine, does not take as it is. */

const producerVersion = "test";
type Node = ReturnType<typeof node>;
type Info = ReturnType<typeof tensorInfo>;

export const model = (
  inputs: readonly Info[],
  outputs: readonly Info[],
  nodes: readonly Node[],
  initializers: readonly ReturnType<typeof tensor>[] = [],
): ModelProto => buildModel({ name: "foreign", producerVersion, inputs, outputs, nodes, initializers });

const x = tensorInfo("X", "float32", ["N"]);
const y = tensorInfo("Y", "float32", ["N"]);
const copy = node("Identity", ["X"], ["Y"]);

/** An input or output of any element type of ONNX, by its number. */
export function infoOf(name: string, elementType: number): Info {
  const info = tensorInfo(name, "float32", ["N"]);
  if (info.type?.value.case === "tensorType") info.type.value.value.elemType = elementType;
  return info;
}

export function wrapped(name: string, kind: "sequence" | "optional" | "map"): Info {
  const info = tensorInfo(name, "float32", []);
  const inner = info.type as NonNullable<Info["type"]>;
  const value =
    kind === "map"
      ? { case: "mapType" as const, value: { keyType: 7, valueType: inner } }
      : { case: `${kind}Type` as const, value: { elemType: inner } };
  info.type = create(TypeProtoSchema, { value: value as never });
  return info;
}

const opset = (version: number, domain = "") =>
  create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) });

/** Y = X, and Z = X as another type. */
export function castModel(elementType: number): ModelProto {
  const cast = node("Cast", ["X"], ["Z"], { to: { int: elementType } });
  const again = node("Identity", ["Z"], ["ZZ"]);
  const made = model([x], [y, infoOf("Z", elementType), infoOf("ZZ", elementType)], [copy, cast, again]);
  return { ...made, irVersion: 13n, opsetImport: [opset(23)] };
}

/** Y = X, and Z from an input B of another type. */
export function otherInputModel(elementType: number): ModelProto {
  const made = model(
    [x, infoOf("B", elementType)],
    [y, infoOf("Z", elementType)],
    [copy, node("Identity", ["B"], ["Z"])],
  );
  return { ...made, irVersion: 13n, opsetImport: [opset(23)] };
}

/** Y from an input B of another type. */
export function neededInputModel(elementType: number): ModelProto {
  const cast = node("Cast", ["B"], ["Y"], { to: { int: 1 } });
  return { ...model([infoOf("B", elementType)], [y], [cast]), irVersion: 13n, opsetImport: [opset(23)] };
}

/** Y = X, and S = [X, X] as a sequence, with a weight that nothing else needs. */
export function sequenceModel(): ModelProto {
  const nodes = [copy, node("Add", ["X", "W"], ["XW"]), node("SequenceConstruct", ["X", "XW"], ["S"])];
  return model([x], [y, wrapped("S", "sequence")], nodes, [tensor("W", Float32Array.of(1))]);
}

export function sequenceOnlyModel(): ModelProto {
  return model([x], [wrapped("S", "sequence")], [node("SequenceConstruct", ["X"], ["S"])]);
}

export function optionalModel(): ModelProto {
  return model([x], [y, wrapped("O", "optional")], [copy, node("Optional", ["X"], ["O"])]);
}

export function mapInputModel(): ModelProto {
  const vectorizer = node("DictVectorizer", ["M"], ["Y"], { int64_vocabulary: { ints: [1, 2] } }, mlDomain);
  return model([wrapped("M", "map")], [y], [vectorizer]);
}

const texts = [tensorInfo("X", "string", ["N"])];
const lower = (locale: string | undefined, input = "X", output = "Y"): Node => {
  const attributes: Record<string, AttributeValue> = { case_change_action: { text: "LOWER" } };
  if (locale !== undefined) attributes.locale = { text: locale };
  return node("StringNormalizer", [input], [output], attributes);
};

/** Y = X in lower case. */
export function lowerCaseModel(locale: string | undefined): ModelProto {
  return model(texts, [tensorInfo("Y", "string", ["M"])], [lower(locale)]);
}

/** The same in both branches of an If, which take X from around them. */
export function lowerCaseBranches(): ModelProto {
  const made = model(
    texts,
    [tensorInfo("Y", "string", ["M"])],
    [],
    [tensor("zero", BigInt64Array.of(0n), [])],
  );
  const branch = (name: string) =>
    create(AttributeProtoSchema, {
      name,
      type: AttributeProto_AttributeType.GRAPH,
      g: create(GraphProtoSchema, {
        name,
        node: [lower("en_US.UTF-8", "X", `${name}.out`)],
        output: [tensorInfo(`${name}.out`, "string", ["M"])],
      }),
    });
  const choice = node("If", ["yes"], ["Y"]);
  choice.attribute = [branch("then_branch"), branch("else_branch")];
  made.graph?.node.push(node("Cast", ["zero"], ["yes"], { to: { int: 9 } }), choice);
  return made;
}

/** The same in a function of the model, whose locale its caller gives. */
export function lowerCaseFunction(): ModelProto {
  const inner = lower(undefined, "x", "y");
  inner.attribute.push(
    create(AttributeProtoSchema, {
      name: "locale",
      refAttrName: "where",
      type: AttributeProto_AttributeType.STRING,
    }),
  );
  const called = node("Lower", ["X"], ["Y"], { where: { text: "de_DE" } }, "own");
  const made = model(texts, [tensorInfo("Y", "string", ["M"])], [called]);
  made.opsetImport.push(opset(1, "own"));
  made.functions.push(
    create(FunctionProtoSchema, {
      name: "Lower",
      domain: "own",
      input: ["x"],
      output: ["y"],
      attribute: ["where"],
      node: [inner],
      opsetImport: [opset(17)],
    }),
  );
  return made;
}

/** Y = A · B, two matrices whose sizes all have this name. */
export function namedSizesModel(name: string): ModelProto {
  const matrix = (of: string) => tensorInfo(of, "float32", [name, name]);
  return model(
    [matrix("A"), matrix("B")],
    [tensorInfo("Y", "float32", [name, name])],
    [node("MatMul", ["A", "B"], ["Y"])],
  );
}

/** Y = X · scale + shift; the last two have values of their own. */
export function defaultsModel(irVersion = 8): ModelProto {
  const made = model(
    [
      tensorInfo("X", "float32", ["N", 1]),
      tensorInfo("scale", "float32", []),
      tensorInfo("shift", "float32", [1]),
    ],
    [tensorInfo("Y", "float32", ["N", 1])],
    [node("Mul", ["X", "scale"], ["scaled"]), node("Add", ["scaled", "shift"], ["Y"])],
    [tensor("scale", Float32Array.of(2), []), tensor("shift", Float32Array.of(10))],
  );
  // One is written as raw bytes, the other as a list.
  made.graph?.initializer.splice(
    1,
    1,
    create(TensorProtoSchema, {
      name: "shift",
      dataType: TensorProto_DataType.FLOAT,
      dims: [1n],
      floatData: [10],
    }),
  );
  return { ...made, irVersion: BigInt(irVersion) };
}

/** A net whose exporter lists its weights among the inputs. */
export function listedWeightsModel(layers: number): ModelProto {
  const names = Array.from({ length: layers }, (_, index) => `w${index}`);
  return model(
    [tensorInfo("X", "float32", ["N", 1]), ...names.map((name) => tensorInfo(name, "float32", [1]))],
    [tensorInfo("Y", "float32", ["N", 1])],
    names.map((name, index) =>
      node("Add", [index === 0 ? "X" : `h${index - 1}`, name], [index === layers - 1 ? "Y" : `h${index}`]),
    ),
    names.map((name) => tensor(name, Float32Array.of(1))),
  );
}

/** Functions that each call the one before so many times; the first calls `first`. */
export function functionsModel(count: number, times: number, first?: string): ModelProto {
  const made = model([x], [y], [node(`F${count - 1}`, ["X"], ["Y"], {}, "own")]);
  made.opsetImport.push(opset(1, "own"));
  for (let index = 0; index < count; index++) {
    const called = index === 0 ? first : `F${index - 1}`;
    const nodes =
      called === undefined
        ? [node("Identity", ["x"], ["y"])]
        : Array.from({ length: times }, (_, call) =>
            node(
              called,
              [call === 0 ? "x" : `v${call - 1}`],
              [call === times - 1 ? "y" : `v${call}`],
              {},
              "own",
            ),
          );
    made.functions.push(
      create(FunctionProtoSchema, {
        name: `F${index}`,
        domain: "own",
        input: ["x"],
        output: ["y"],
        node: nodes,
        opsetImport: [opset(17), opset(1, "own")],
      }),
    );
  }
  return made;
}

export function versionedModel(irVersion: number, standard: number, ml?: number): ModelProto {
  const made = model([x], [y], [copy]);
  const opsetImport = [opset(standard), ...(ml === undefined ? [] : [opset(ml, mlDomain)])];
  return { ...made, irVersion: BigInt(irVersion), opsetImport };
}

export const unknownOperatorModel = (domain: string): ModelProto => {
  const made = model([x], [y], [node("Nothing", ["X"], ["Y"], {}, domain)]);
  if (domain !== "") made.opsetImport.push(opset(1, domain));
  return made;
};

/** An initializer with fewer bytes than its shape says. */
export function shortInitializerModel(): ModelProto {
  const made = model([x], [y], [node("Add", ["X", "B"], ["Y"])], [tensor("B", new Float32Array(4))]);
  const [short] = made.graph?.initializer ?? [];
  if (short !== undefined) short.rawData = short.rawData.slice(0, 3);
  return made;
}
