//! Messages to people who are not connected: over which channels, to where, and how each of them stands.
//!
//! Here are the words that planning, sending and showing share. Nothing here knows a vendor's format.

mod message;
pub mod plan;
mod state;

pub use message::{
    Content, Destination, Email, InvalidDestination, Locale, Outgoing, PushToken, WebPushKeys,
};
pub use state::DeliveryState;

named! {
    /// A way to reach somebody.
    Channel {
        /// A text message.
        Sms = "SMS",
        /// A WhatsApp message.
        Whatsapp = "WHATSAPP",
        /// An e-mail.
        Email = "EMAIL",
        /// A push notification to one of their devices.
        Push = "PUSH",
        /// A signed request to an address of the operators.
        Webhook = "WEBHOOK",
        /// The operators' pager.
        Pager = "PAGER",
    }
}

named! {
    /// Who carries a message.
    Vendor {
        /// Twilio's Messages.
        Twilio = "TWILIO",
        /// MSG91's Flow.
        Msg91 = "MSG91",
        /// WhatsApp's Cloud API.
        WhatsappCloud = "WHATSAPP_CLOUD",
        /// SendGrid v3.
        Sendgrid = "SENDGRID",
        /// Amazon SES v2.
        Ses = "SES",
        /// A mail server.
        Smtp = "SMTP",
        /// Firebase Cloud Messaging, HTTP v1.
        Fcm = "FCM",
        /// Apple's push service.
        Apns = "APNS",
        /// The push service of a browser.
        WebPush = "WEB_PUSH",
        /// PagerDuty Events v2.
        Pagerduty = "PAGERDUTY",
        /// An address of the operators' own.
        Webhook = "WEBHOOK",
    }
}

impl Vendor {
    /// Over which channel it carries.
    pub const fn channel(self) -> Channel {
        match self {
            Self::Twilio | Self::Msg91 => Channel::Sms,
            Self::WhatsappCloud => Channel::Whatsapp,
            Self::Sendgrid | Self::Ses | Self::Smtp => Channel::Email,
            Self::Fcm | Self::Apns | Self::WebPush => Channel::Push,
            Self::Pagerduty => Channel::Pager,
            Self::Webhook => Channel::Webhook,
        }
    }
}

named! {
    /// What comes first. Each has places of its own, so that a flood of one does not delay another.
    Lane {
        /// Somebody needs help.
        Sos = "SOS",
        /// Somebody waits at a screen for a code.
        Otp = "OTP",
        /// What may take a minute.
        Normal = "NORMAL",
        /// What may take an hour.
        Low = "LOW",
    }
}

impl Lane {
    /// Its place among the lanes, from 0.
    pub const fn index(self) -> usize {
        self as usize
    }
}

named! {
    /// What a message is about: each has a template of its own.
    Occasion {
        /// Somebody raised an SOS.
        SosRaised = "SOS_RAISED",
        /// It stands, and nobody has acknowledged it, or nobody has touched it for too long.
        SosReminder = "SOS_REMINDER",
        /// Somebody has taken it on.
        SosAcknowledged = "SOS_ACKNOWLEDGED",
        /// It is over.
        SosOver = "SOS_OVER",
        /// It was called off by whoever raised it: nothing had happened.
        SosFalseAlarm = "SOS_FALSE_ALARM",
        /// Operators: an SOS could not be handed over in time, or reached somebody over no channel.
        Trouble = "TROUBLE",
        /// A code that proves that an address is somebody's.
        Otp = "OTP",
        /// A check-in is due.
        CheckInDue = "CHECK_IN_DUE",
    }
}

impl Occasion {
    /// Whether it tells of the end of an incident.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::SosOver | Self::SosFalseAlarm)
    }
}
