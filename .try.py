import numpy as np, contractconv as cc
import contractconv.functions as F
from contractconv.api.tensor import tensor
from contractconv.api.symbolic import grad
from contractconv.api.compiling import compile
x, l = tensor("x","b class"), tensor("l","b","int64")
loss = F.cross_entropy(x, l)
p = compile([loss, grad(loss, x)])
rng=np.random.default_rng(0)
X=rng.standard_normal((5,7)); L=rng.integers(7,size=5)
a,b=p(X,L)
import torch
t=torch.tensor(X,requires_grad=True); tl=torch.nn.functional.cross_entropy(t,torch.tensor(L)); tl.backward()
print(a-tl.item(), abs(b-t.grad.numpy()).max())
