/// A Bell pair: two qubits that always agree, each of them undecided until it is measured.
@EntryPoint()
operation Main() : (Result, Result) {
    use (a, b) = (Qubit(), Qubit());
    Entangle(a, b);
    let outcome = (M(a), M(b));
    ResetAll([a, b]);
    return outcome;
}

operation Entangle(a : Qubit, b : Qubit) : Unit {
    H(a);
    CNOT(a, b);
}

/// The two always agree.
@Test()
operation PairAgrees() : Unit {
    for _ in 1..20 {
        let (a, b) = Main();
        Std.Diagnostics.Fact(a == b, "the two qubits disagree");
    }
}
