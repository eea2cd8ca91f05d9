// Package testenv builds the world around the product for tests: programs
// built once, processes that die with the test, a Lustre file system, its
// library and its lfs.
//
//	lustre := testenv.StartLustre(t, testenv.Options{Mounts: 2})
//	testenv.Run(t, exec.Command(testenv.Binary(t, "./cmd/lhsmtool_azblob"), lustre.Mount()))
//	lustre.Lfs("hsm_archive", filepath.Join(lustre.Mount(), "f"))
//	lustre.WaitIdle()
//
// Everything is torn down by t.Cleanup, and if the test process is killed by
// the kernel: each process has a death signal, and the stand-in unmounts when
// its parent is gone.
//
// The Lustre is the stand-in of testenv/cmd/lustre-standin, with a coordinator
// that works at once: enabled, many slots, loop period and grace delay of a
// test's measure. Options.Params and SetParam change that in the words of
// lctl.
//
// With STANDIN_REAL_LLAPI and STANDIN_REAL_LFS set to the paths of a real
// liblustreapi and lfs, those are used in place of ours, on the same mount.
// Programs that a test starts then get LD_PRELOAD and LD_LIBRARY_PATH. A test
// that loads the library into its own process needs them from the beginning:
//
//	go test -exec "env LD_PRELOAD=$PWD/build/test/lib/standin_preload.so LD_LIBRARY_PATH=$dir" ./llapi
package testenv
