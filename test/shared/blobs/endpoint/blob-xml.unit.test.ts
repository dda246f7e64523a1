import { describe, expect, it } from "vitest";
import { errorXml, listingXml, parseBlockList } from "../../../../shared/blobs/endpoint/blob-xml.ts";

describe("a block list", () => {
  it.each([
    ["<BlockList></BlockList>", []],
    ["<BlockList/>", []],
    ['<?xml version="1.0" encoding="utf-8"?><BlockList><Latest>YQ==</Latest></BlockList>', ["YQ=="]],
    [
      "<BlockList>\n <Uncommitted>YQ==</Uncommitted>\r\n\t<Latest> Yg== </Latest>\n</BlockList>\n",
      ["YQ==", "Yg=="],
    ],
  ])("is read from %j", (xml, ids) => {
    expect(parseBlockList(xml)).toEqual(ids);
  });

  it("keeps its order and repetitions", () => {
    const ids = Array.from({ length: 50_000 }, (_, index) =>
      Buffer.from(`${index % 40_000}`).toString("base64"),
    );
    const xml = `<BlockList>${ids.map((id) => `<Latest>${id}</Latest>`).join("")}</BlockList>`;
    expect(parseBlockList(xml)).toEqual(ids);
  });

  it.each([
    "",
    "not xml",
    "<BlockList>",
    "<BlockList><Latest>a b</Latest></BlockList>",
    "<BlockList><Latest>YQ==</Uncommitted></BlockList>",
    "<BlockList><Committed>YQ==</Committed></BlockList>",
    "<BlockList>YQ==</BlockList>",
    '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><BlockList><Latest>&e;</Latest></BlockList>',
  ])("is not read from %j", (xml) => {
    expect(() => parseBlockList(xml)).toThrow("The block list is wrong");
  });
});

describe("what is written", () => {
  it("cannot break out of its element", () => {
    expect(errorXml("Code", 'a <b> & "c"')).toContain("<Message>a &#60;b&#62; &#38; &#34;c&#34;</Message>");
  });

  it("lists names as they are called in their container", () => {
    const stat = { key: "q/job-1/a<b", sizeBytes: 5, modifiedMs: 0, contentType: "text/plain" };
    const xml = listingXml(
      { blobs: [stat], prefixes: ["q/job-1/dir/"], cursor: "next" },
      { container: "q/job-1", query: new URLSearchParams("prefix=a&maxresults=2"), etagOf: () => '"e"' },
    );
    expect(xml).toContain(
      "<Blob><Name>a&#60;b</Name><Properties><Last-Modified>Thu, 01 Jan 1970 00:00:00 GMT",
    );
    expect(xml).toContain("<BlobPrefix><Name>dir/</Name></BlobPrefix>");
    expect(xml).toContain("<Prefix>a</Prefix><MaxResults>2</MaxResults>");
    expect(xml).toContain("<NextMarker>next</NextMarker>");
  });
});
