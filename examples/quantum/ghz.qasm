OPENQASM 3.0;
include "stdgates.inc";

// Five qubits that all agree: 00000 or 11111, each with probability one half.
qubit[5] q;
bit[5] c;
h q[0];
for int i in [1:4] {
  cx q[i - 1], q[i];
}
c = measure q;
