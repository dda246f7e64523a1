/** Will this flight be more than 15 minutes late? */
export const lateFlights = {
  dataset: "flights",
  task: "binary",
  target: { column: "delay", greaterThan: 15 },
  derive: [
    { name: "hour", from: "date", part: "hour" },
    { name: "dayOfWeek", from: "date", part: "dayOfWeek" },
  ],
  features: [
    { column: "distance" },
    { column: "origin" },
    { column: "destination" },
    { column: "hour", kind: "categorical" },
    { column: "dayOfWeek", kind: "categorical" },
  ],
  split: {
    timeColumn: "date",
    train: { from: "2001-01-01", to: "2001-03-01" },
    holdout: { from: "2001-03-01", to: "2001-04-01" },
  },
  slices: ["dayOfWeek"],
};
