package filters

import "sekimori/internal/mail"

var dnsblSpec = Spec{Name: "dnsbl", Stages: []mail.Stage{mail.Connect}}
