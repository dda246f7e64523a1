import Std.Convert.IntAsDouble;
import Std.Diagnostics.Fact;
import Std.Math.AbsD;

/// The electronic energy of hydrogen (H2 at 0.735 angstrom, STO-3G, parity mapping on two qubits), in hartree:
/// c0 + c1 Z0 + c2 Z1 + c3 Z0 Z1 + c4 X0 X1. Its least value is -1.857275; with the repulsion of the nuclei, 0.719969,
/// the molecule has -1.137306. The coefficients are those that Qiskit Nature computes for this distance.
///
/// Input: one angle. Output: the mean over so many shots in each of the two bases.
operation Energy(parameters : Double[], shots : Int) : Double {
  let (z0, z1, zz) = ZExpectations(parameters[0], shots);
  -1.052373245772859
  + 0.39793742484318045 * z0
  - 0.39793742484318045 * z1
  - 0.01128010425623538 * zz
  + 0.18093119978423156 * XExpectation(parameters[0], shots)
}

operation Main() : Double {
  Energy([-0.2234], 1000)
}

operation Prepare(angle : Double, qubits : Qubit[]) : Unit is Adj {
  X(qubits[0]);
  Ry(angle, qubits[1]);
  CNOT(qubits[1], qubits[0]);
}

operation ZExpectations(angle : Double, shots : Int) : (Double, Double, Double) {
  mutable sums = (0, 0, 0);
  for _ in 1..shots {
    use qubits = Qubit[2];
    Prepare(angle, qubits);
    let (a, b) = (Sign(MResetZ(qubits[0])), Sign(MResetZ(qubits[1])));
    let (z0, z1, zz) = sums;
    set sums = (z0 + a, z1 + b, zz + a * b);
  }
  let (z0, z1, zz) = sums;
  (Mean(z0, shots), Mean(z1, shots), Mean(zz, shots))
}

operation XExpectation(angle : Double, shots : Int) : Double {
  mutable sum = 0;
  for _ in 1..shots {
    use qubits = Qubit[2];
    Prepare(angle, qubits);
    H(qubits[0]);
    H(qubits[1]);
    set sum += Sign(MResetZ(qubits[0])) * Sign(MResetZ(qubits[1]));
  }
  Mean(sum, shots)
}

function Sign(result : Result) : Int {
  result == Zero ? 1 | -1
}

function Mean(sum : Int, count : Int) : Double {
  IntAsDouble(sum) / IntAsDouble(count)
}

@Test()
operation WithoutATurnTheEnergyIsThatOfOneDeterminant() : Unit {
  let (z0, z1, zz) = ZExpectations(0.0, 100);
  Fact(AbsD(z0 + 1.0) + AbsD(z1 - 1.0) + AbsD(zz + 1.0) < 1e-9, "X on the first qubit alone must give |10>");
}
