package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// Secret is a key or a password. It shows itself as *** wherever it is printed, logged or marshalled; string(s) is the
// content.
type Secret string

const hidden = "***"

// String returns ***.
func (Secret) String() string { return hidden }

// GoString returns ***, for %#v.
func (Secret) GoString() string { return hidden }

// MarshalText writes ***.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue logs ***.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// maxSecret bounds a secret: a file that is larger was named by mistake.
const maxSecret = 64 << 10

// resolve makes a path absolute that is meant from the directory of the configuration file. A plain name that does not
// stand there but is a credential of the unit (systemd's LoadCredential=) means the credential.
func (d *document) resolve(p string) string {
	if p == "" || d == nil || d.file == "" || filepath.IsAbs(p) {
		return p
	}
	here := filepath.Join(filepath.Dir(d.file), p)
	if dir := d.env("CREDENTIALS_DIRECTORY"); dir != "" && filepath.Base(p) == p && !exists(here) {
		if cred := filepath.Join(dir, p); exists(cred) {
			return cred
		}
	}
	return here
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// ReadSecret reads a key or password from a file and removes white space around it. Its errors name the file and never
// the content.
func ReadSecret(file string) (Secret, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	if info.IsDir() {
		return "", fmt.Errorf("%s is a directory, not a file", file)
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
	return Secret(secret), nil
}

// secretSource finds secrets by the path of their *_file key.
type secretSource struct {
	env  func(string) string
	skip bool
}

// read returns the secret and the file it came from ("" for the environment).
func (s secretSource) read(path []string, file string) (Secret, string, error) {
	if s.skip {
		return "", "", nil
	}
	if file != "" {
		secret, err := ReadSecret(file)
		return secret, file, err
	}
	name := strings.TrimSuffix(strings.Join(path, "."), "_file")
	if dir := s.env("CREDENTIALS_DIRECTORY"); dir != "" {
		cred := filepath.Join(dir, name)
		if secret, err := ReadSecret(cred); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return secret, cred, err
		}
	}
	variable := "SEKIMORI_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(name))
	return Secret(strings.TrimSpace(s.env(variable))), "", nil
}

// worldReadable reports whether anybody on the machine can read the file.
func worldReadable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0
}
