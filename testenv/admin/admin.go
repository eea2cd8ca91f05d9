// Package admin is how one talks to a running stand-in: commands with the
// words of its command line, one JSON object per line over a unix socket whose
// path is in an xattr of every mount's root.
//
// The daemon carries a command out and answers with what the command prints
// and its exit status. So the command line is a thin client, and a test can do
// everything that a person can.
//
//	→ {"args":["get_param","mdt.*.hsm.max_requests"]}
//	← {"stdout":"mdt.lustre-MDT0000.hsm.max_requests=3\n","code":0}
//
// A connection carries one command after the other. Closing it cancels the
// command that runs, such as a wait-idle.
package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Xattrs of a mount's root.
const (
	SocketAttr = "user.standin.sock" // path of the admin socket
	UUIDAttr   = "user.standin.uuid" // the mount's client uuid, as hsm.agents shows it
)

// MountType is the type that mounts of the stand-in show in the mount table.
const MountType = "fuse.lustre"

// A Request is one command with its arguments.
type Request struct {
	Args []string `json:"args"`
}

// A Response is what the command printed and how it ended.
type Response struct {
	Stdout string `json:"stdout,omitempty"`
	Stderr string `json:"stderr,omitempty"`
	Code   int    `json:"code"`
}

// Call runs one command at the daemon that serves socket.
func Call(ctx context.Context, socket string, args ...string) (Response, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return Response{}, fmt.Errorf("reach the stand-in: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := json.NewEncoder(conn).Encode(Request{Args: args}); err != nil {
		return Response{}, fmt.Errorf("send %s to the stand-in: %w", args[0], err)
	}
	var r Response
	if err := json.NewDecoder(conn).Decode(&r); err != nil {
		return Response{}, fmt.Errorf("wait for the answer to %s: %w", args[0], errors.Join(ctx.Err(), err))
	}
	return r, nil
}

// Socket finds the socket of the daemon that serves a mount.
func Socket(mount string) (string, error) {
	buf := make([]byte, 256)
	n, err := unix.Getxattr(mount, SocketAttr, buf)
	if err != nil {
		return "", fmt.Errorf("find the stand-in behind %s: %w", mount, err)
	}
	return string(buf[:n]), nil
}

// FindMount returns the only mount of a stand-in on this machine.
func FindMount() (string, error) {
	table, err := os.Open("/proc/self/mounts")
	if err != nil {
		return "", fmt.Errorf("find a stand-in: %w", err)
	}
	defer table.Close()
	var found []string
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) > 2 && f[2] == MountType {
			found = append(found, unescape(f[1]))
		}
	}
	return onlyDaemon(found)
}

// onlyDaemon picks any mount if all have the same daemon.
func onlyDaemon(mounts []string) (string, error) {
	if len(mounts) == 0 {
		return "", errors.New("find a stand-in: nothing of type " + MountType + " is mounted")
	}
	first, err := Socket(mounts[0])
	if err != nil {
		return "", err
	}
	for _, m := range mounts[1:] {
		if s, err := Socket(m); err != nil || s != first {
			return "", fmt.Errorf("find a stand-in: several are mounted (%s); say which with --mount", strings.Join(mounts, ", "))
		}
	}
	return mounts[0], nil
}

// unescape undoes the octal escapes of the mount table.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if n, ok := octal(s[i:]); ok {
			b.WriteByte(n)
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func octal(s string) (byte, bool) {
	if len(s) < 4 || s[0] != '\\' {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s[1:4]) {
		if c < '0' || c > '7' {
			return 0, false
		}
		n = n*8 + int(c-'0')
	}
	return byte(n), n < 256
}
