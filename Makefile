# Each target is a few lines; the work is in scripts/. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help setup package test test-crash test-big fuzz bench demo clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## */\1|/p' Makefile | awk -F'|' '{ printf "make %-10s %s\n", $$1, $$2 }'

setup: ## install whatever the build and the tests need and is missing
	@bash scripts/setup.sh

package: setup ## build the npm package into pkg/, print its sizes, fail when over budget
	@node scripts/build-pkg.mjs

test: setup ## all checks (ENGINES="chromium firefox webkit", ONLY="native chromium" select)
	@bash scripts/test.sh

SECONDS = 30
fuzz: setup ## run each fuzz target for SECONDS=30, from the corpus in fuzz/ (TARGETS="url zip" selects; MINIMIZE=1 renews the corpus)
	@SECONDS=$(SECONDS) node scripts/fuzz.mjs

test-crash: package ## kill browsers in the middle of saves, TF.js as the control (KILLS=300 SEED=2 choose)
	@node tests/crash/run.mjs

bench: package ## TF.js, the raw platform call and tfpersist side by side (QUICK=1: three minutes; ONLY="opfs relaxed" selects; KEEP=1: for bench.html)
	@node scripts/bench.mjs

test-big: package ## save, list, verify, read and remove a model of 4 GB in both sharded pools, with little memory (GB=1 POOLS=opfs choose)
	@node tests/big/run.mjs

demo: package ## serve the demo page (CHECK=1: drive it in headless Chromium, then exit)
	@node www/serve.mjs

clean: ## remove what the build made (the installed tools stay)
	rm -rf target pkg
