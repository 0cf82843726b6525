"""A campaign of measurements on a GPU that is at hand for half an hour, on a machine that may reach no package index.

Before, where an index can be reached:   python benchmarks/gpu/pack.py
On the machine with the GPU:             python3 benchmarks/gpu/launch.py --budget 400 --out DIR STAGES
Afterwards, anywhere:                    PYTHONPATH=benchmarks python -m gpu record DIR --page docs/benchmarks/NAME.md

``python -m gpu commands`` prints the four commands that fill a record, each below ten minutes; docs/benchmarks/gpu.md
says what each brings. Every finding is a line of JSON, on disk as soon as it is known. A part that fails, or a plugin
that is missing, is a finding too: the others go on.

`findings` writes and reads them, `setup` is what stages are given, `stages` lists them, `campaign` runs them in
processes of their own. `ceilings`, `micro`, `attention`, `glue`, `capturing`, `suite`, `speed`, `rival`, `parity`
and `profiling` measure; `record`, `page`, `compare` and `pictures` make something of it. `pack` and `launch` need the
standard library alone.
"""
