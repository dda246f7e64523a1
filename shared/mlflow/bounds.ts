/**
 * How long every text and list of MLflow's protocol may be: as MLflow checks it (mlflow/utils/validation.py), or as its
 * database keeps it (mlflow/store/*\/dbmodels/models.py) where nothing checks. Lengths are in characters.
 */
export const limits = {
  key: 250,
  /** Longer ones are cut, as MLflow does by default. */
  paramValue: 6000,
  tagValue: 8000,
  experimentName: 500,
  experimentTagValue: 20_000,
  modelName: 256,
  registryTagValue: 100_000,
  aliasName: 255,
  runName: 250,
  userId: 256,
  /** Of a model version or a registered model. */
  description: 5000,
  /** Places of artifacts, sources of versions, links to runs. */
  location: 2048,
  modelType: 500,
  dataset: { name: 500, digest: 36, source: 65_535, schema: 1_048_575, profile: 16_777_215 },
  inputTag: { key: 255, value: 500 },
  webhook: { name: 63, url: 2000, description: 1000, secret: 1000 },

  metricsPerBatch: 1000,
  paramsPerBatch: 100,
  tagsPerBatch: 100,
  entitiesPerBatch: 1000,
  /** Tags and parameters of what is created. */
  pairs: 1000,
  /** Ids to look among. */
  ids: 50_000,
  /** Any other list. */
  entries: 1000,

  /** Any other text: an id, a name before it is looked at more closely, a page token. */
  text: 5000,
  filter: 100_000,
} as const;
