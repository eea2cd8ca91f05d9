package options

import (
	"fmt"
	"os"
	"strings"
)

// MinToken is the least length of a token, in bytes: what can be guessed is no
// protection.
const MinToken = 16

// ReadToken reads the token in a file that the option names, and refuses one that is
// none, or that everybody may read.
func ReadToken(option, file string) (string, error) {
	st, err := os.Stat(file)
	if err != nil {
		return "", fmt.Errorf("--%s: %w", option, err)
	}
	if st.Mode().Perm()&0o007 != 0 {
		return "", fmt.Errorf("--%s: everybody may read %s; chmod 640 %s", option, file, file)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("--%s: %w", option, err)
	}
	token := strings.TrimSpace(string(b))
	if len(token) < MinToken || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("--%s: %s has to hold one word of %d characters or more; make one with: openssl rand -hex 32 >%s", option, file, MinToken, file)
	}
	return token, nil
}
