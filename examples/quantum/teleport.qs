import Std.Diagnostics.Fact;

/// Sends a state that shows One with probability sin²(0.5) = 0.2298… over a Bell pair and two classical bits.
/// The corrections depend on measurements: it needs a target of an adaptive profile.
operation Main() : Result {
  use (message, here, there) = (Qubit(), Qubit(), Qubit());
  Ry(1.0, message);
  Teleport(message, here, there);
  MResetZ(there)
}

operation Teleport(message : Qubit, here : Qubit, there : Qubit) : Unit {
  H(here);
  CNOT(here, there);
  CNOT(message, here);
  H(message);
  if MResetZ(here) == One {
    X(there);
  }
  if MResetZ(message) == One {
    Z(there);
  }
}

@Test()
operation TheStateArrives() : Unit {
  for angle in [0.0, 0.7, 1.4, 2.1, 3.1] {
    use (message, here, there) = (Qubit(), Qubit(), Qubit());
    Ry(angle, message);
    Teleport(message, here, there);
    Ry(-angle, there);
    Fact(MResetZ(there) == Zero, "undoing the preparation must give |0>");
  }
}
