// Package acceptance holds the black-box tests of lhsm-azblob.
//
// A test here does what users and operators do: it types lfs commands on a
// Lustre mount, starts and stops the real lhsmtool_azblob, and looks into the
// container with nothing but the Azure SDK. It imports no package of the
// product. Lustre is the stand-in of testenv, Blob storage is Azurite, and
// between the copytool and Azurite stands a gate at which a test can hold a
// request, so that "while the archive runs" is an event and not a guess.
//
// What needs no more than lfs, the mount and the container is in package checks:
// TestChecks runs it here, and the command lhsm-acceptance anywhere.
//
// Where $STANDIN_REAL_LLAPI and $STANDIN_REAL_LFS name a real liblustreapi and
// a real lfs, the same tests run with those.
package acceptance
