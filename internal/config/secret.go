package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxSecret bounds a secret: a file that is larger was named by mistake.
const maxSecret = 64 << 10

// resolve makes a path absolute that is meant from the directory of the configuration file.
func (d *document) resolve(p string) string {
	if p == "" || d == nil || d.file == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(filepath.Dir(d.file), p)
}

// ReadSecret reads a key or password from a file and removes white space around it. Its errors name the file and never
// the content.
func ReadSecret(file string) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	if !info.Mode().IsRegular() && info.Mode()&(os.ModeNamedPipe|os.ModeCharDevice) == 0 {
		return "", fmt.Errorf("%s is not a file", file)
	}
	if info.Size() > maxSecret {
		return "", fmt.Errorf("%s is larger than %d octets: not a key or password", file, maxSecret)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	secret := strings.TrimSpace(string(b))
	if secret == "" {
		return "", fmt.Errorf("%s is empty", file)
	}
	return secret, nil
}
