"""Computes pipeline.json with scikit-learn: OMP_NUM_THREADS=1 python pipeline.py > pipeline.json"""

import json

import numpy as np
import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

rng = np.random.default_rng(7)
n, train = 400, 300
# Multiples of 1/8 are exact in float32, so both sides read the same numbers.
a = np.round(rng.normal(1000, 30, n) * 8) / 8
b = np.round(rng.normal(0, 2, n) * 8) / 8
a[rng.random(n) < 0.1] = np.nan
city = rng.choice(["oslo", "köln", "bern", ""], n, p=[0.4, 0.3, 0.2, 0.1]).astype(object)
city[5], city[320], city[321] = "rare", "rare", "new"
hour = rng.integers(0, 4, n).astype(float)
score = 0.03 * (np.nan_to_num(a, nan=1020) - 1000) - 0.7 * b + (city == "oslo") + 0.5 * (hour == 2) - 0.4
value = np.round((score + rng.normal(0, 0.5, n)) * 8) / 8
flag = (score + rng.logistic(0, 1, n) > 0).astype(int)

X = np.column_stack([a, b, city, hour]).astype(object)
levels = ["oslo", "köln", "bern", ""]  # "rare" has one training row


def pipeline(model, impute):
    # A scaler after the imputer, the indicator as it is.
    encode = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy=impute), StandardScaler()), [0, 1]),
            ("missing", MissingIndicator(features="all"), [0]),
            ("city", OneHotEncoder(categories=[levels], handle_unknown="ignore"), [2]),
            ("hour", OneHotEncoder(categories=[[0.0, 1.0, 2.0, 3.0]], handle_unknown="ignore"), [3]),
        ]
    )

    class Encoder:
        def fit(self, X):
            encode.fit(X)
            return self

        def __call__(self, X):
            Z = encode.transform(X)
            return np.asarray(Z.todense() if hasattr(Z, "todense") else Z, dtype=float)

    to_matrix = Encoder().fit(X[:train])
    return to_matrix, model


cases = []
for name, task, impute, weights, model in [
    ("logistic", "binary", "mean", "none", LogisticRegression(C=1, solver="newton-cholesky", tol=1e-12, max_iter=200)),
    ("logistic, balanced", "binary", "median", "balanced",
     LogisticRegression(C=0.5, class_weight="balanced", solver="newton-cholesky", tol=1e-12, max_iter=200)),
    ("ridge", "regression", "median", "none", Ridge(alpha=3, solver="cholesky")),
]:
    to_matrix, model = pipeline(model, impute)
    model.fit(to_matrix(X[:train]), (flag if task == "binary" else value)[:train])
    Z = to_matrix(X[train:])
    predicted = model.predict_proba(Z)[:, 1] if task == "binary" else model.predict(Z)
    l2 = 1 / model.C if task == "binary" else model.alpha
    cases.append({"name": name, "task": task, "impute": impute, "classWeights": weights, "l2": l2,
                  "predictions": [float(p) for p in predicted]})

none = lambda column: [None if x != x else float(x) for x in column]
print(json.dumps({
    "source": {"scikit-learn": sklearn.__version__, "numpy": np.__version__},
    "train": train,
    "columns": {"a": none(a), "b": none(b), "city": list(city), "hour": none(hour),
                "value": none(value), "flag": [int(x) for x in flag]},
    "cases": cases,
}, ensure_ascii=False))
