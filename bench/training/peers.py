"""Fits the same rows with scikit-learn and LightGBM, one thread. Arguments: folder, rows, training rows, levels."""

import json
import sys
import time
import warnings

import lightgbm
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import roc_auc_score, root_mean_squared_error

warnings.filterwarnings("ignore")
folder, rows, train = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
categorical = json.loads(sys.argv[4])
numbers = np.fromfile(f"{folder}/numbers.f32", np.float32).reshape(-1, rows).T
categories = np.fromfile(f"{folder}/categories.u8", np.uint8).reshape(-1, rows).T
x = np.column_stack([numbers, categories.astype(np.float32)])
columns = list(range(numbers.shape[1], x.shape[1]))
late = np.fromfile(f"{folder}/late.f64")
value = np.fromfile(f"{folder}/value.f64")


def timed(name, task, fit, score):
    before = time.process_time()
    model = fit()
    cpu = time.process_time() - before
    print(json.dumps({"name": name, "task": task, "cpu": cpu, "score": float(score(model))}), flush=True)


settings = dict(max_iter=100, max_leaf_nodes=31, early_stopping=False, categorical_features=columns)
timed("scikit-learn", "binary",
      lambda: HistGradientBoostingClassifier(**settings).fit(x[:train], late[:train]),
      lambda m: roc_auc_score(late[train:], m.predict_proba(x[train:])[:, 1]))
timed("scikit-learn", "regression",
      lambda: HistGradientBoostingRegressor(**settings).fit(x[:train], value[:train]),
      lambda m: root_mean_squared_error(value[train:], m.predict(x[train:])))
for task, objective, y, score in [
    ("binary", "binary", late, roc_auc_score),
    ("regression", "regression", value, root_mean_squared_error),
]:
    parameters = dict(objective=objective, num_leaves=31, num_threads=1, verbose=-1)
    timed("LightGBM", task,
          lambda: lightgbm.train(parameters, lightgbm.Dataset(x[:train], y[:train], categorical_feature=columns), 100),
          lambda m: score(y[train:], m.predict(x[train:])))

small = np.fromfile(f"{folder}/small/numbers.f32", np.float32).reshape(-1, 500).T
target = np.fromfile(f"{folder}/small/value.f64")
timed("scikit-learn", "500 rows",
      lambda: [HistGradientBoostingRegressor(max_iter=50, early_stopping=False).fit(small, target) for _ in range(20)],
      lambda m: 20)
