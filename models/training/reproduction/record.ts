/** What a run keeps beside its model, so that it can be made again; in the run's artifacts. */
export const recordFile = "training.json";
