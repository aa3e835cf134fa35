package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"

	"sekimori/internal/config"
)

// fence is what serve restricts itself to by Landlock: the files it needs. The network is not restricted: a reload may add a
// listener, and backends, directories and name servers are on any port.
type fence struct {
	Mode  string   `json:"mode"`  // auto | off | required
	State string   `json:"state"` // of the kernel: full | partial (before Linux 6.2) | none
	Read  []string `json:"read"`
	Write []string `json:"write"`
	Run   []string `json:"run"` // programs and what they load
}

// The states of fence.
const (
	fenceFull    = "full"
	fencePartial = "partial" // files outside can be truncated, where their permissions allow it
	fenceNone    = "none"
)

// systemPaths are read by the resolver, the TLS library, the clock and the metrics. Files in /etc are replaced by a rename, and
// Landlock knows a file by its inode, so the whole directory may be read as its permissions allow.
func systemPaths() []string {
	return []string{
		"/etc", "/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/usr/local/share/certs",
		"/var/lib/ca-certificates", "/proc/self", "/proc/stat", "/proc/sys/net/core", "/sys/fs/cgroup",
	}
}

// accountPaths are what getent(1) and the modules of nsswitch.conf(5) are made of.
func accountPaths() []string {
	list := []string{"/usr", "/bin", "/lib", "/lib32", "/lib64", "/nix/store", "/var/lib/sss", "/var/lib/extrausers", "/run/systemd", "/run/userdb"}
	if p, err := exec.LookPath("getent"); err == nil {
		list = append(list, placesOf(p)...)
	}
	return list
}

// placesOf returns the directories in which a file is found: that of its name, and that of what a symbolic link there leads to.
// Files are replaced by a rename, so it is the directory that counts; of the root only the file itself.
func placesOf(file string) []string {
	var list []string
	for _, f := range []string{file, realPath(file)} {
		if dir := filepath.Dir(f); dir != "/" {
			list = append(list, dir)
		} else {
			list = append(list, f)
		}
	}
	return list
}

// realPath follows symbolic links; what is not there is followed as far as it is.
func realPath(path string) string {
	if p, err := filepath.EvalSymlinks(path); err == nil {
		return p
	}
	if dir := filepath.Dir(path); dir != path {
		return filepath.Join(realPath(dir), filepath.Base(path))
	}
	return path
}

// newFence says what a configuration needs. named are files that other files name.
func newFence(cfg *config.Config, named []string) *fence {
	f := &fence{Mode: cfg.Landlock, State: landlockState(), Run: []string{}}
	need := cfg.Paths()
	for _, file := range slices.Concat(need.Read, named) {
		f.Read = append(f.Read, placesOf(file)...)
	}
	f.Read = append(f.Read, need.Trees...)
	for i := range cfg.Bayes.Folders {
		f.Read = append(f.Read, realPath(cfg.Bayes.Folders[i].Path))
	}
	if dir, err := filepath.Abs(cfg.RulesDir); err == nil && cfg.RulesDir != "" {
		f.Read = append(f.Read, placesOf(dir)...) // it may be replaced as a whole, by a rename or by another link
	}
	f.Read = append(f.Read, systemPaths()...)
	for _, link := range []string{"/etc/resolv.conf", "/etc/localtime", "/etc/hosts"} {
		f.Read = append(f.Read, placesOf(link)...)
	}
	for _, name := range []string{"CREDENTIALS_DIRECTORY", "SSL_CERT_DIR"} {
		f.Read = append(f.Read, filepath.SplitList(os.Getenv(name))...)
	}
	if file := os.Getenv("SSL_CERT_FILE"); file != "" {
		f.Read = append(f.Read, placesOf(file)...)
	}
	f.Write = need.Write
	for _, d := range cfg.Domains {
		if d.Recipients == "unix" {
			f.Run = accountPaths()
		}
	}
	for _, list := range []*[]string{&f.Read, &f.Write, &f.Run} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return f
}

// landlockState says how much of it the kernel has.
func landlockState() string {
	switch abi, err := ll.LandlockGetABIVersion(); {
	case err != nil || abi < 2: // the first cannot allow a rename from one directory to another
		return fenceNone
	case abi < 3:
		return fencePartial
	}
	return fenceFull
}

// The rights, by what a path is for.
const (
	mayRead  = ll.AccessFSReadFile | ll.AccessFSReadDir
	mayRun   = mayRead | ll.AccessFSExecute
	mayWrite = mayRead | ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSRemoveDir | ll.AccessFSRemoveFile | ll.AccessFSMakeDir |
		ll.AccessFSMakeReg | ll.AccessFSMakeSym | ll.AccessFSMakeSock | ll.AccessFSMakeFifo | ll.AccessFSRefer
	ofFile = ll.AccessFSReadFile | ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSExecute
)

// enforce restricts all threads of the process, for good, and what it starts. Directories to write in are made first: a rule
// cannot name what is not there.
func (f *fence) enforce() error {
	if f.Mode == "off" {
		return nil
	}
	if f.State != fenceFull && f.Mode == "required" {
		return errors.New(`landlock = "required": this kernel has no Landlock, or an old one (Linux 6.2 is needed, with landlock in /sys/kernel/security/lsm); "auto" starts without`)
	}
	if f.State == fenceNone {
		return nil
	}
	rules := []landlock.Rule{landlock.PathAccess(ll.AccessFSReadFile|ll.AccessFSWriteFile, os.DevNull).IgnoreIfMissing()}
	for _, dir := range f.Write {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("landlock: %w", err)
		}
		// That a new directory has its name is made durable in the one above it, which is opened for that.
		rules = append(rules, landlock.PathAccess(mayWrite, dir), landlock.PathAccess(ll.AccessFSReadDir, filepath.Dir(dir)))
	}
	add := func(paths []string, rights landlock.AccessFSSet) {
		for _, p := range paths {
			info, err := os.Stat(p)
			if err != nil {
				continue // not there, or not for us
			}
			if !info.IsDir() {
				rights &= ofFile
			}
			rules = append(rules, landlock.PathAccess(rights, p).IgnoreIfMissing())
		}
	}
	for _, p := range f.Read {
		add([]string{p}, mayRead)
	}
	for _, p := range f.Run {
		add([]string{p}, mayRun)
	}
	if err := landlock.V5.BestEffort().RestrictPaths(rules...); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	return nil
}

// String says what holds, for people.
func (f *fence) String() string {
	switch {
	case f.Mode == "off":
		return "off"
	case f.State == fenceNone:
		return "not supported by the kernel"
	}
	return "enforced (" + f.State + ")"
}

func (f *fence) enforced() bool { return f != nil && f.Mode != "off" && f.State != fenceNone }

// outside returns the places of next that are not within f, sorted.
func (f *fence) outside(next *fence) []string {
	var list []string
	beneath := func(wanted []string, allowed ...string) {
		for _, p := range wanted {
			if real := realPath(p); !slices.ContainsFunc(allowed, func(a string) bool { return within(real, realPath(a)) }) {
				list = append(list, p)
			}
		}
	}
	beneath(next.Read, slices.Concat(f.Read, f.Write, f.Run)...)
	beneath(next.Write, f.Write...)
	if len(next.Run) > 0 && len(f.Run) == 0 {
		list = append(list, `getent (recipients = "unix")`)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// within reports whether a path is dir or beneath it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// restrict puts the fence up once everything is open, and says so.
func (s *server) restrict() error {
	var named []string
	if rcpts := s.rcpts(); rcpts != nil {
		named = rcpts.Files()
	}
	s.fence = newFence(s.cfg(), named)
	if err := s.fence.enforce(); err != nil {
		return err
	}
	s.log.Info("landlock", "mode", s.fence.Mode, "state", s.fence.String(), "write", s.fence.Write)
	return nil
}

// fenced refuses a configuration that names places which the server has shut itself out of.
func (s *server) fenced(cfg *config.Config) error {
	if cfg == nil || !s.fence.enforced() {
		return nil
	}
	var errs []error
	for _, p := range s.fence.outside(newFence(cfg, nil)) {
		errs = append(errs, fmt.Errorf("nothing was taken over: %s is outside of what the server restricted itself to at its start (landlock); a restart is needed", p))
	}
	return errors.Join(errs...)
}
