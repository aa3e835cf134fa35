package disk

import (
	"os"
	"path/filepath"
	"syscall"
)

// Own gives a file or directory that root has just made to the owner of the directory it is in: a command that root runs must
// leave nothing that a serve of another user cannot open. For everybody else it does nothing.
func Own(name string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	st, err := os.Stat(filepath.Dir(name))
	if err != nil {
		return err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok || sys.Uid == 0 {
		return nil
	}
	return os.Lchown(name, int(sys.Uid), int(sys.Gid))
}

// Mkdir makes a directory, for its owner only, unless it is there; a new one belongs to whom Own says. Its parent must exist.
func Mkdir(name string) error {
	err := os.Mkdir(name, 0o700)
	if os.IsExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return Own(name)
}
