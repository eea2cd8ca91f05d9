// Package lioc is Lustre's HSM interface as bytes: the ioctl numbers, the
// structs behind them, the messages on a copytool's pipe, and how a server
// reaches into the process that called.
//
// It holds no state and knows neither FUSE nor the coordinator. fusefs decodes
// what a caller passed, asks the state, and encodes the answer:
//
//	ioctl(fd, cmd, arg) ──▶ kernel ──▶ fusefs ──Decode──▶ state
//	        ▲                             │
//	        └───── process_vm_writev ◀────┴──Encode
//
// # Numbers that lie
//
// The size encoded in several of these numbers is not the size of the struct
// that is passed: COPY_START says 8 bytes and takes 88. FUSE hands over only
// what the number says, so the rest is fetched from, and written to, the
// caller's memory. See [Caller]. That needs ptrace access to the caller: root,
// or root of the caller's user namespace, or the same uid.
//
// # Layout
//
// All structs are of fixed-width integers at their natural alignment, in host
// byte order, with padding spelled out as fields. So the encoding of a Go
// struct here, field after field, is the C struct; the tests hold every size
// and offset against a table printed by a C compiler.
//
// Decoders check every length against the bytes they were given and never
// panic; nothing here trusts a caller.
package lioc
