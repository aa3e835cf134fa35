// Package login says who an administrator is: by a password in a file, by a directory (LDAP), or by single sign-on (OIDC). It knows
// no sessions and no pages.
//
// The file has a line for each administrator, NAME:ROLE:HASH, with the hash as argon2 itself writes it
// ($argon2id$v=19$m=65536,t=2,p=1$SALT$HASH). Lines that are empty or begin with # are passed over. It is read again for each
// sign-in, so that whoever is taken out cannot come in any more.
package login

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Roles are those that an administrator can have, the mightiest first.
var roles = []string{"admin", "helpdesk", "auditor"}

// Roles returns them.
func Roles() []string { return slices.Clone(roles) }

const (
	memory  = 64 << 10 // KiB
	passes  = 2
	lanes   = 1
	saltLen = 16
	hashLen = 32

	mostMemory = 1 << 20 // KiB, of a hash that somebody else wrote
	mostPasses = 64
	mostFile   = 1 << 20

	// MinPassword is how many octets a password must have.
	MinPassword = 12
	// MaxPassword is how many it may have.
	MaxPassword = 1024
)

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// User is one line of the file.
type User struct {
	Name, Role string
	hash       hash
}

type hash struct {
	memory, passes uint32
	lanes          uint8
	salt, sum      []byte
}

// dummy is compared with when there is no such user, so that the answer takes as long.
var dummy = hash{memory, passes, lanes, make([]byte, saltLen), make([]byte, hashLen)}

func (h hash) matches(password string) bool {
	sum := argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.lanes, uint32(len(h.sum)))
	return subtle.ConstantTimeCompare(sum, h.sum) == 1
}

func (h hash) String() string {
	b := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.lanes, b.EncodeToString(h.salt), b.EncodeToString(h.sum))
}

func parseHash(s string) (hash, error) {
	bad := errors.New("the hash is not one of argon2id")
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return hash{}, bad
	}
	var h hash
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.passes, &h.lanes); err != nil || n != 3 {
		return hash{}, bad
	}
	var err1, err2 error
	h.salt, err1 = base64.RawStdEncoding.DecodeString(parts[4])
	h.sum, err2 = base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(h.salt) < 8 || len(h.sum) < 16 || len(h.sum) > 128 || h.memory < 8*uint32(h.lanes) || h.memory > mostMemory ||
		h.passes < 1 || h.passes > mostPasses || h.lanes < 1 {
		return hash{}, bad
	}
	return h, nil
}

// Read reads the file. One that is not there has no users. Errors name the file and the line, and no hash.
func Read(file string) ([]User, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the administrators' passwords cannot be read: %w", err)
	}
	return parse(file, b)
}

func parse(file string, b []byte) ([]User, error) {
	if len(b) > mostFile {
		return nil, fmt.Errorf("%s is too large to be a list of administrators", file)
	}
	var list []User
	n := 0
	for line := range bytes.Lines(b) {
		n++
		text := strings.TrimSpace(strings.TrimPrefix(string(line), "\ufeff"))
		if text == "" || text[0] == '#' {
			continue
		}
		fields := strings.Split(text, ":")
		if len(fields) != 3 || !nameForm.MatchString(fields[0]) {
			return nil, fmt.Errorf("%s:%d: not of the form NAME:ROLE:HASH; sekimori console passwd writes it", file, n)
		}
		if !slices.Contains(roles, fields[1]) {
			return nil, fmt.Errorf("%s:%d: %q is no role; there are %s", file, n, fields[1], strings.Join(roles, ", "))
		}
		h, err := parseHash(fields[2])
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w; sekimori console passwd writes it", file, n, err)
		}
		if slices.ContainsFunc(list, func(u User) bool { return strings.EqualFold(u.Name, fields[0]) }) {
			return nil, fmt.Errorf("%s:%d: %s is there already", file, n, fields[0])
		}
		list = append(list, User{fields[0], fields[1], h})
	}
	return list, nil
}

// NewUser makes a line from a password. Errors say what is wrong with the name, the role or the password, and never show it.
func NewUser(name, role, password string) (User, error) {
	switch {
	case !nameForm.MatchString(name):
		return User{}, fmt.Errorf("%q is not a name of letters, digits and . _ @ - (at most 64)", name)
	case !slices.Contains(roles, role):
		return User{}, fmt.Errorf("%q is no role; there are %s", role, strings.Join(roles, ", "))
	case len(password) < MinPassword:
		return User{}, fmt.Errorf("the password is too short: it must have at least %d characters", MinPassword)
	case len(password) > MaxPassword:
		return User{}, fmt.Errorf("the password is too long: it may have at most %d octets", MaxPassword)
	}
	h := hash{memory: memory, passes: passes, lanes: lanes, salt: make([]byte, saltLen)}
	if _, err := rand.Read(h.salt); err != nil {
		return User{}, err
	}
	h.sum = argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.lanes, hashLen)
	return User{name, role, h}, nil
}

// Put writes the user into the file, in place of one of the same name; drop takes the one of the name out instead. Everything else in
// the file stays. The file is replaced as a whole, with mode 0600 or that which it had.
func Put(file string, u User, drop bool) (found bool, err error) {
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if _, err := parse(file, old); err != nil {
		return false, err
	}
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(file); err == nil {
		mode = info.Mode().Perm()
	}
	var b bytes.Buffer
	line := u.Name + ":" + u.Role + ":" + u.hash.String() + "\n"
	for l := range bytes.Lines(old) {
		name, _, _ := strings.Cut(strings.TrimSpace(string(l)), ":")
		if !strings.EqualFold(name, u.Name) {
			b.Write(bytes.TrimRight(l, "\n"))
			b.WriteByte('\n')
			continue
		}
		found = true
		if !drop {
			b.WriteString(line)
		}
	}
	if !found && !drop {
		b.WriteString(line)
	}
	if !found && drop {
		return false, nil
	}
	return found, replace(file, b.Bytes(), mode)
}

func replace(file string, b []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), ".users-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if info, statErr := os.Stat(file); statErr == nil {
		keepOwner(tmp.Name(), info)
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}
