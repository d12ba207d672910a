# Each target sets up what it needs from nothing, and is fast the second time.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DATA   := samples/data
OUT    ?= out

.PHONY: demo test lint bench format clean

# The sample picture, its true depth and its camera are our own, and the network `mini` comes with the package,
# so nothing is fetched. Four tape readings turn the network's depth into metres. The cloud and the mesh are made
# twice: from the network's depth and from the true one.
demo: $(READY)
	mkdir -p $(OUT)
	$(BIN)/depth3d estimate $(DATA)/still_life.png --model mini -o $(OUT)/depth.npz --preview --legend --overwrite
	$(BIN)/depth3d inspect $(OUT)/depth.npz --report $(OUT)/depth_report.png --overwrite
	$(BIN)/depth3d calibrate $(DATA)/still_life.png --depth $(OUT)/depth.npz --camera $(DATA)/still_life_camera.json \
		--anchor-range 480,250,2.17 --anchor-range 100,420,1.88 --anchor-range 265,400,1.41 \
		--anchor-range 480,695,0.94 -o $(OUT)/calibration.json --report $(OUT)/calibration.html --overwrite
	$(BIN)/depth3d measure $(DATA)/still_life.png 430,105 607,105 --depth $(OUT)/depth.npz \
		--camera $(DATA)/still_life_camera.json --calibration $(OUT)/calibration.json
	$(BIN)/depth3d cloud $(DATA)/still_life.png --depth $(OUT)/depth.npz --camera $(DATA)/still_life_camera.json \
		--calibration $(OUT)/calibration.json -o $(OUT)/cloud.ply --normals --preview $(OUT)/cloud_views.png --overwrite
	$(BIN)/depth3d cloud $(DATA)/still_life.png --depth $(DATA)/still_life_depth.png -o $(OUT)/true_cloud.ply \
		--normals --preview $(OUT)/true_cloud_views.png --overwrite
	$(BIN)/depth3d mesh $(DATA)/still_life.png --depth $(OUT)/depth.npz --camera $(DATA)/still_life_camera.json \
		--calibration $(OUT)/calibration.json -o $(OUT)/mesh.glb --preview $(OUT)/mesh_views.png --overwrite
	$(BIN)/depth3d mesh $(DATA)/still_life.png --depth $(DATA)/still_life_depth.png -o $(OUT)/true_mesh.glb \
		--preview $(OUT)/true_mesh_views.png --overwrite
	$(BIN)/depth3d matte $(DATA)/still_life.png --depth $(DATA)/still_life_depth.png --at 265,400 \
		-o $(OUT)/matte.png --cutout $(OUT)/cutout.png --overwrite
	$(BIN)/depth3d bokeh $(DATA)/still_life.png --depth $(DATA)/still_life_depth.png --focus 365,545 \
		--f-number 1.4 --focal-mm 85 -o $(OUT)/bokeh.jpg --overwrite
	$(BIN)/depth3d bokeh $(DATA)/still_life.png --depth $(DATA)/still_life_depth.png \
		--rack-focus 365,545:480,250 --f-number 1.4 --focal-mm 85 --seconds 2 --fps 15 \
		-o $(OUT)/rack_focus.mp4 --overwrite
	$(BIN)/depth3d parallax $(DATA)/still_life.png --depth $(DATA)/still_life_depth.png --size 720 \
		--seconds 3 --fps 20 -o $(OUT)/orbit.mp4 --overwrite
	$(BIN)/depth3d parallax $(DATA)/still_life.png --depth $(DATA)/still_life_depth.png --size 480 \
		-o $(OUT)/page.html --overwrite
	$(BIN)/depth3d video $(OUT)/orbit.mp4 -o $(OUT)/orbit_depth.mp4 --model mini --size 320 --max-frames 20 --overwrite
	@ls -l $(OUT)

# A process a core, up to four, with one thread a product: OpenMP's threads would wait for each other by spinning, and
# take three times as long. Neighbours mostly stay together, so that they share what a file sets up.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy depth3d cli
	$(BIN)/lint-imports

# A quick look at every benchmark, or with FULL=1 the long runs; what the same commit has measured is kept, ONLY="cloud
# mesh" takes some, and AGAIN=1 measures them again. Figures go to out/bench, tables to BENCHMARKS.md.
bench: $(READY)
	$(BIN)/python tests/benchmarks/run.py --folder $(OUT)/bench $(if $(FULL),--full) $(if $(AGAIN),--again) \
		$(if $(ONLY),--only $(ONLY))

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(OUT) build dist *.egg-info

# torch goes first: a plain requirement would take the newest build with gigabytes of CUDA packages.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 12) else "depth3d needs Python 3.10 to 3.12, got %d.%d; run: make PYTHON=python3.11 ..." % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@
