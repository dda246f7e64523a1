"""Computes reference/linear.json with scikit-learn: python linear.py > linear.json"""
import json, numpy as np, sklearn
from sklearn.linear_model import Ridge, LogisticRegression
from sklearn.metrics import *
# the same generator as in the test: a linear congruential sequence, so that both sides see equal rows
def lcg(n, seed):
    x=seed; out=[]
    for _ in range(n):
        x=(1103515245*x+12345)%2147483648; out.append(x/2147483648)
    return np.array(out)
n=400
a=lcg(n,1)*4-2; b=lcg(n,2)*2-1; codes=(lcg(n,3)*4).astype(int)-1   # -1: no level
u=lcg(n,4)
X=np.column_stack([a,b]+[(codes==k).astype(float) for k in range(3)])
score=0.8*a-1.5*b+np.where(codes==0,0.7,0)-0.3
y=score+u-0.5
z=(1/(1+np.exp(-score))>u).astype(float)
w=0.5+lcg(n,5)
out={"source":{"scikit-learn":sklearn.__version__,"numpy":np.__version__},"cases":[]}
def case(name,loss,l2,weights):
    if loss=="squared":
        m=Ridge(alpha=l2,solver="cholesky").fit(X,y,sample_weight=weights)
        coef,ic=m.coef_,m.intercept_
    else:
        m=LogisticRegression(C=1/l2,solver="newton-cholesky",tol=1e-12,max_iter=500).fit(X,z,sample_weight=weights)
        coef,ic=m.coef_[0],m.intercept_[0]
    out["cases"].append({"name":name,"loss":loss,"l2":l2,"weighted":weights is not None,"weights":list(map(float,coef)),"intercept":float(ic)})
case("ridge","squared",2.0,None); case("ridge, weighted rows","squared",0.5,w)
case("logistic","logistic",1.0,None); case("logistic, weighted rows","logistic",0.1,w)
p=np.round(lcg(n,6),2); lab=z
out["binary"]={"logLoss":log_loss(lab,np.clip(p,1e-15,1-1e-15)),"auc":roc_auc_score(lab,p),"averagePrecision":average_precision_score(lab,p),"brier":brier_score_loss(lab,p),"accuracy":accuracy_score(lab,p>=.5),"precision":precision_score(lab,p>=.5),"recall":recall_score(lab,p>=.5),"f1":f1_score(lab,p>=.5)}
out["regression"]={"rmse":float(np.sqrt(mean_squared_error(y,a))),"mae":mean_absolute_error(y,a),"r2":r2_score(y,a),"bias":float(np.mean(a-y))}
print(json.dumps(out,indent=1))
