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

  /**
   * In UTF-8, of the name of a metric and of its data set together: they are in one key of the database, and PostgreSQL's
   * end at 2,704 bytes. Within their own lengths all fit whose letters have up to three bytes.
   */
  metricKeyBytes: 2450,

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

  /** Any other text: an id, a name before it is looked at more closely. */
  text: 5000,
  /** It holds the sort key of a row: up to 30 values, of texts no more than `sortedText`. */
  pageToken: 200_000,
  sortedText: 500,
  filter: 100_000,
} as const;
