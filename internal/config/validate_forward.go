package config

import (
	"os"
	"path/filepath"
	"slices"
)

// forwardHomes checks recipients.forward_homes. The root is refused: the server would keep the right to read everything.
func (v *validator) forwardHomes() {
	c := v.cfg
	if len(c.Recipients.ForwardHomes) == 0 {
		return
	}
	if !slices.ContainsFunc(c.Domains, func(d Domain) bool { return d.Recipients == "unix" }) {
		v.fail("recipients.forward_homes", `no domain has recipients = "unix", so that no ~/.forward would be read`)
	}
	for i, dir := range c.Recipients.ForwardHomes {
		at := at("recipients.forward_homes", i)
		clean := filepath.Clean(dir)
		switch {
		case !filepath.IsAbs(dir):
			v.fail(at, "%q is no absolute path, such as /home", dir)
		case clean == "/":
			v.fail(at, "the root holds more than homes; name the directories with the homes, such as /home")
		case v.opts.SkipFiles:
		default:
			if info, err := os.Stat(clean); err != nil {
				v.fail(at, "cannot be looked at: %v", err)
			} else if !info.IsDir() {
				v.fail(at, "%s is no directory", clean)
			}
		}
		c.Recipients.ForwardHomes[i] = clean
	}
}
