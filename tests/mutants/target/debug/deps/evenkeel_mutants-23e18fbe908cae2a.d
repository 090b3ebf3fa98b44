/work/main/tests/mutants/target/debug/deps/evenkeel_mutants-23e18fbe908cae2a.d: src/main.rs src/build.rs src/mutate.rs src/tests.rs src/workers.rs

/work/main/tests/mutants/target/debug/deps/evenkeel_mutants-23e18fbe908cae2a: src/main.rs src/build.rs src/mutate.rs src/tests.rs src/workers.rs

src/main.rs:
src/build.rs:
src/mutate.rs:
src/tests.rs:
src/workers.rs:

# env-dep:CARGO_MANIFEST_DIR=/work/main/tests/mutants
