package filters

import "sekimori/internal/mail"

var rdnsSpec = Spec{Name: "rdns", Stages: []mail.Stage{mail.Connect}}
