import Std.Diagnostics.Fact;

/// Two qubits that always agree: 00 or 11, each with probability one half.
operation Main() : (Result, Result) {
  use (first, second) = (Qubit(), Qubit());
  H(first);
  CNOT(first, second);
  (MResetZ(first), MResetZ(second))
}

@Test()
operation BothAgree() : Unit {
  let (first, second) = Main();
  Fact(first == second, "the two qubits of a Bell pair must agree");
}

@Test()
operation TurningBackGivesZero() : Unit {
  use (first, second) = (Qubit(), Qubit());
  within {
    H(first);
    CNOT(first, second);
  } apply {}
  Fact(MResetZ(first) == Zero and MResetZ(second) == Zero, "preparing and undoing must leave |00>");
}
