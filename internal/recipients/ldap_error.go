package recipients

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// away marks that a server was not reached or did not answer, so that another one may.
type away struct{ error }

// Unwrap returns the cause.
func (a away) Unwrap() error { return a.error }

// isAway reports whether another server may do better.
func isAway(err error) bool {
	var a away
	return errors.As(err, &a) || ldap.IsErrorAnyOf(err, ldap.ErrorNetwork, ldap.LDAPResultBusy, ldap.LDAPResultUnavailable) ||
		strings.Contains(err.Error(), "unable to read LDAP response packet") || strings.Contains(err.Error(), "unable to send request")
}

// adReasons are the words for the sub-codes with which Active Directory says why a bind failed.
var adReasons = map[string]string{
	"525": "there is no such account", "52e": "the password is wrong", "530": "the account may not log in at this hour",
	"531": "the account may not log in from this machine", "532": "the password has expired", "533": "the account is disabled",
	"701": "the account has expired", "773": "the password must be changed first", "775": "the account is locked",
}

// explainLDAP adds what to do about an error.
func explainLDAP(err error) error {
	var e *ldap.Error
	if !errors.As(err, &e) {
		return err
	}
	hint := ""
	switch e.ResultCode {
	case ldap.LDAPResultInvalidCredentials:
		hint = "bind_dn or the password is wrong"
		if _, rest, ok := strings.Cut(e.Error(), "data "); ok && len(rest) >= 3 && adReasons[rest[:3]] != "" {
			hint = "bind_dn was refused: " + adReasons[rest[:3]]
		}
	case ldap.LDAPResultNoSuchObject:
		hint = "bases names a place that does not exist, or that the bind account may not see"
	case ldap.LDAPResultSizeLimitExceeded, ldap.LDAPResultAdminLimitExceeded, ldap.LDAPResultTimeLimitExceeded:
		hint = "the directory's limit cut the list short, so nothing of it was used: lift the limit for the bind account, or lower page_size"
	case ldap.LDAPResultOperationsError, ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultInappropriateAuthentication:
		hint = "bind_dn may not search there; Active Directory lets nobody search without bind_dn"
	case ldap.LDAPResultConfidentialityRequired, ldap.LDAPResultStrongAuthRequired:
		hint = "the directory wants TLS: ldaps://, or starttls = true"
	case ldap.LDAPResultReferral:
		hint = "the directory refers to another server, which is not followed: name that one in urls"
	}
	if hint == "" {
		return err
	}
	return fmt.Errorf("%s (%w)", hint, err)
}
