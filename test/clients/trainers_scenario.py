"""Fits three real data sets with scikit-learn and prints rows, folds and results. Argument: a CSV of flights."""

import json
import sys

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, roc_auc_score, root_mean_squared_error
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

flights = pd.read_csv(sys.argv[1], parse_dates=["date"])
codes = [flights[name].rank(method="dense").astype(int) - 1 for name in ("origin", "destination")]
numbers = np.column_stack(
    [flights["distance"], flights["date"].dt.hour, flights["date"].dt.dayofweek, *codes]
).astype(float)


def folds(rows, seeds):
    """The fold of each row, once per seed."""
    found = []
    for seed in range(seeds):
        fold = np.zeros(rows, int)
        for index, (_, test) in enumerate(KFold(5, shuffle=True, random_state=seed).split(fold)):
            fold[test] = index
        found.append(fold.tolist())
    return found


def study(name, x, y, binary, categorical, seeds):
    x = x.astype(np.float32).astype(float)
    z = StandardScaler().fit_transform(x)
    if binary:
        linear = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(z, y)
        weights, intercept = linear.coef_[0], linear.intercept_[0]
    else:
        linear = Ridge(alpha=1.0, solver="cholesky").fit(z, y)
        weights, intercept = linear.coef_, linear.intercept_
    split = folds(len(y), seeds)
    scores = []
    for fold in np.array(split):
        predicted = np.zeros(len(y))
        for index in range(5):
            train, test = fold != index, fold == index
            kind = HistGradientBoostingClassifier if binary else HistGradientBoostingRegressor
            model = kind(early_stopping=False, max_iter=50, categorical_features=categorical or None)
            model.fit(x[train], y[train])
            predicted[test] = model.predict_proba(x[test])[:, 1] if binary else model.predict(x[test])
        scores.append(roc_auc_score(y, predicted) if binary else root_mean_squared_error(y, predicted))
    return {
        "name": name,
        "binary": binary,
        "columns": x.T.tolist(),
        "standard": z.T.tolist(),
        "categorical": categorical,
        "target": y.tolist(),
        "weights": weights.tolist(),
        "intercept": float(intercept),
        "folds": split,
        "score": float(np.mean(scores)),
    }


cancer = load_breast_cancer()
diabetes = load_diabetes(scaled=False)
late = (flights["delay"] > 15).astype(int).to_numpy()
print(
    json.dumps(
        [
            study("breast cancer", cancer.data, cancer.target, True, [], 5),
            study("diabetes", diabetes.data, diabetes.target, False, [], 10),
            study("flights", numbers, late, True, [3, 4], 1),
        ]
    )
)
