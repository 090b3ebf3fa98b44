/work/main/tests/mutants/target/debug/deps/evenkeel_mutants-0ff0c5642b1e7f5e.d: src/main.rs src/build.rs src/mutate.rs src/tests.rs src/workers.rs

/work/main/tests/mutants/target/debug/deps/evenkeel_mutants-0ff0c5642b1e7f5e: src/main.rs src/build.rs src/mutate.rs src/tests.rs src/workers.rs

src/main.rs:
src/build.rs:
src/mutate.rs:
src/tests.rs:
src/workers.rs:

# env-dep:CARGO_MANIFEST_DIR=/work/main/tests/mutants
