import Std.Diagnostics.Fact;
import Std.Measurement.MResetEachZ;

/// All qubits agree: all zeros or all ones, each with probability one half.
operation Main() : Result[] {
  Ghz(5)
}

/// The same for any number of qubits: run it as the entry `Ghz` with the argument [10].
operation Ghz(qubits : Int) : Result[] {
  use register = Qubit[qubits];
  H(register[0]);
  for i in 1..qubits - 1 {
    CNOT(register[i - 1], register[i]);
  }
  MResetEachZ(register)
}

@Test()
operation AllAgree() : Unit {
  for qubits in 1..6 {
    let results = Ghz(qubits);
    for result in results {
      Fact(result == results[0], "all qubits of a GHZ state must agree");
    }
  }
}
