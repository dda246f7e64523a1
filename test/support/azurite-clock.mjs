// Loaded into Azurite's process before anything else: its clock runs ahead by as many milliseconds as the test says.
let aheadMs = 0;
const RealDate = Date;

globalThis.Date = class extends RealDate {
  constructor(...parts) {
    if (parts.length === 0) super(RealDate.now() + aheadMs);
    else super(...parts);
  }

  static now() {
    return RealDate.now() + aheadMs;
  }
};

process.on("message", (ms) => {
  aheadMs = ms;
  process.send({ aheadMs });
});
process.on("disconnect", () => process.exit());
