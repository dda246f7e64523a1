OPENQASM 3.0;
include "stdgates.inc";

// Two qubits that always agree: 00 or 11, each with probability one half.
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;
