import {
  appended,
  attributeTags,
  type Edit,
  fieldBytes,
  graphTags,
  modelNodes,
  modelTags,
  nodeTags,
  numberBytes,
  type OnnxModel,
  opsetTags,
  removed,
  tensorTypeTags,
  typeTags,
  valueTags,
} from "../../../shared/onnx/index.ts";

/** What is taken where a locale is not there: the first of them that is. They know the letters of all languages. */
const substitutes = ["C.UTF-8", "en_US.UTF-8", "C"];

/**
 * scikit-learn's text pipelines begin with StringNormalizer, which asks the system for a locale, `en_US.UTF-8` unless
 * the model says otherwise, and fails where that is not installed, which is the rule in containers. A locale that is
 * there differs in the letters of a few languages at most, Turkish among them.
 *
 * @param isThere whether ONNX Runtime makes a StringNormalizer of this locale; undefined is the operator's own default
 * @returns the changes of the file
 */
export async function substituteLocales(
  model: OnnxModel,
  isThere: (locale: string | undefined) => Promise<boolean>,
): Promise<Edit[]> {
  const edits: Edit[] = [];
  const known = new Map<string | undefined, string | undefined>();
  for (const { domain, operator, attributes, span } of modelNodes(model)) {
    if (domain !== "" || operator !== "StringNormalizer") continue;
    const written = attributes.filter(({ name }) => name === "locale");
    const isOpen = written.some(({ reference, text }) => reference !== "" || text === undefined);
    const locale = written.at(-1)?.text;
    if (!known.has(locale)) known.set(locale, (await isThere(locale)) ? locale : await substitute(isThere));
    const wanted = isOpen ? await substitute(isThere) : known.get(locale);
    if (wanted === undefined || (wanted === locale && !isOpen)) continue;
    edits.push(
      ...written.map((attribute) => removed(attribute.span)),
      appended(span, localeAttribute(wanted)),
    );
  }
  return edits;
}

async function substitute(isThere: (locale: string) => Promise<boolean>): Promise<string | undefined> {
  for (const locale of substitutes) if (await isThere(locale)) return locale;
  return undefined;
}

const stringAttribute = 3;
const stringElements = 8;

function localeAttribute(locale: string): Uint8Array {
  return textAttribute("locale", locale);
}

function textAttribute(name: string, value: string): Uint8Array {
  return fieldBytes(
    nodeTags.attribute,
    fieldBytes(attributeTags.name, name),
    fieldBytes(attributeTags.s, value),
    numberBytes(attributeTags.type, stringAttribute),
  );
}

/** A model that is nothing but a StringNormalizer, to see whether it loads. */
export function localeProbe(locale: string | undefined): Uint8Array {
  const value = (tag: number, name: string) =>
    fieldBytes(
      tag,
      fieldBytes(valueTags.name, name),
      fieldBytes(
        valueTags.type,
        fieldBytes(typeTags.tensor, numberBytes(tensorTypeTags.elementType, stringElements)),
      ),
    );
  const node = fieldBytes(
    graphTags.node,
    fieldBytes(nodeTags.input, "x"),
    fieldBytes(nodeTags.output, "y"),
    fieldBytes(nodeTags.opType, "StringNormalizer"),
    // Without anything to do it would not ask for the locale.
    textAttribute("case_change_action", "LOWER"),
    ...(locale === undefined ? [] : [localeAttribute(locale)]),
  );
  const graph = fieldBytes(
    modelTags.graph,
    node,
    fieldBytes(graphTags.name, "probe"),
    value(graphTags.input, "x"),
    value(graphTags.output, "y"),
  );
  const opset = fieldBytes(modelTags.opsetImport, numberBytes(opsetTags.version, 15));
  return Buffer.concat([numberBytes(modelTags.irVersion, 8), graph, opset]);
}
