# Disks by sequence number: a patch set for Linux, and what builds and tests it.
# `make` alone lists the targets.

.DEFAULT_GOAL := help
.PHONY: help demo demo-xen test test-debian12 test-debian13 test-debug test-arch soak mutants model fuzz fuzz-ops faults test-others coverage check bisect-check series deb bench shell graft clean

help:		## List the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 22
	@echo
	@echo 'KERNEL=6.12 (the default) or another version that Debian packages as'
	@echo 'linux-source-VERSION, KERNEL=newest, or the path of a kernel source tree.'

demo:		## See the wrong disk opened by its path, and refused by its number
	@scripts/demo

demo-xen:	## See a guest of Xen get the wrong disk, and with our script the right one
	@scripts/demo-xen

test:		## Run all tests; ends with "N passed, N failed, N skipped"
	@scripts/test

test-debian12 test-debian13: test-debian%:
	@scripts/debian --suite $* -- make $(or $(TARGETS),demo test)

test-debian13:	## "make demo test", or TARGETS=..., on a bare Debian 13 (or 12)

test-debug:	## The tests on kernels with KASAN, lockdep, kmemleak, KCSAN and more
	@scripts/test --debug

test-arch:	## The unit tests on i386, arm64, s390 and riscv
	@scripts/test --arch

soak:		## The race suite for long: OPENS=10000000 opens, CPUS=4 processors
	@scripts/race --opens $(or $(OPENS),10000000) --cpus $(or $(CPUS),4) \
		--seed $(or $(SEED),1) --timeout 86400 --slow-seconds $(or $(SLOW_SECONDS),60)

mutants:	## See which test fails for each hole in scripts/mutants (MUTANTS=...)
	@scripts/mutate $(MUTANTS)

model:		## The guarantee on a model, in every order of events; each protection taken away
	@scripts/model $(RUNS)

fuzz:		## The names of disks against a second opinion: INPUTS=10000000 SEED=1
	@scripts/fuzz --runs $(or $(INPUTS),10000000) --seed $(or $(SEED),1)

fuzz-ops:	## Random operations against a model of them: SECONDS=300 SEED=1
	@scripts/fuzz-ops --seconds $(or $(SECONDS),300) --seed $(or $(SEED),1)

faults:		## Each allocation on the way fails once, and nothing is lost by it
	@scripts/test faults

test-others:	## Test suites of others (util-linux, liburing, cryptsetup), held to the stock kernel
	@scripts/test others

coverage:	## Which lines and branches of ours the tests execute (gcov), and which not
	@scripts/coverage

check:		## checkpatch, sparse, kernel-doc, htmldocs, shellcheck; graft equals series
	@scripts/check

bisect-check:	## Boot and test the kernel after each patch of the series (STEPS='30-fs/* ...')
	@scripts/bisect-check $(STEPS)

series:		## Write the patches for the mailing lists to build/series/, a folder for each maintainer
	@scripts/export

deb:		## Debian packages: the patched kernel, with CONFIG=/its/options, and diskseq-tools
	@scripts/deb $(if $(CONFIG),--config $(CONFIG)) $(PACKAGES)

bench:		## Measure what opening by number costs; results in build/bench/
	@scripts/bench

shell:		## An interactive shell inside the patched kernel (exit leaves it)
	@scripts/run --tty -- sh

graft:		## Put the patch set onto the kernel tree TREE
	@scripts/graft $(or $(TREE),$(error TREE=/path/of/a/kernel/tree, please))

clean:		## Remove everything that was built
	rm -rf build
