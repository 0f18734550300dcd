// Package sandbox runs tool code in WebAssembly, where it has nothing but its world.
//
// # JavaScript
//
// A [JavaScript] implements gateway.Runtime with QuickJS-NG, compiled to WebAssembly and
// driven on wazero. Tools are the exported functions of the arena's entry, an ES module
// without imports. Each is called as f(args, host) and may be async; module variables
// are the world's state. The module may also export setup(scenario, host), called once
// per episode ({} where the task has no scenario), and state(), which says what the
// world is.
//
//	host.seed        the world's seed, a number (rounded beyond 2^53)
//	host.random()    a number in [0,1); Math.random is the same generator
//	host.now()       the world's clock in ms since 1970; Date agrees, and time stands still
//	host.data(path)  the text of a file under data/ (path does not name data/ itself)
//	host.log(...)    a line for the author, kept with the step; console.log is the same
//
// host is also a global, for module code. That runs once per arena, before there is an
// episode: there everything but host.data throws.
//
// # Python and WebAssembly
//
// A [Python] runs tools on CPython, a [WASM] those of any module with a small ABI; their
// comments say what an arena must have. Both see WASI with nothing of the machine's behind
// it: see wasiModule. What holds for every engine is in machine, program and instance;
// what is peculiar to one is a guest: script, pythonModule, module32.
//
// # How
//
// An image is linear memory after module code ran. An episode is a memory that begins as
// its image: on Linux a slot of address space that maps the image's file privately, so
// that starting costs nothing and only written pages cost memory; elsewhere a copy. It owns nothing
// of wazero's. A few executors, instances without state of their own, take the memory of
// whichever episode is called. All that an episode is lies in its memory: what the host must
// remember of it, open files and globals too. See memories, image and executor.
//
// # Fuel
//
// A module is rewritten when it is loaded: each function entry and each loop pass
// takes one unit, bulk memory one for each 256 bytes. Equal calls on equal memories use
// equal fuel. When it is used up the guest is unwound where it stands, and its memory
// given up: a call that goes beyond a limit changes nothing. The same visits to the host
// notice cancellation and the wall clock. See meter.
package sandbox
