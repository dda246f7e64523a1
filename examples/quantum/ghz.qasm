OPENQASM 3.0;
include "stdgates.inc";

// Three qubits that all agree: 000 or 111, each with probability one half.
qubit[3] q;
bit[3] c;
h q[0];
for int i in [1:2] {
  cx q[i - 1], q[i];
}
c = measure q;
