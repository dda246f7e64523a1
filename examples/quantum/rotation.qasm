OPENQASM 3.0;
include "stdgates.inc";

// Shows 1 with probability sin²(theta / 2); theta comes with the submission as an argument.
input float theta;
qubit q;
bit c;
ry(theta) q;
c = measure q;
