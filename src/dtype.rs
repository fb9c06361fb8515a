//! The types of weights, and how many bytes an element takes.

use crate::error::Error;

/// The type of a weight's elements, as a model uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DType {
    /// 4 bytes, IEEE.
    Float32,
    /// 4 bytes, two's complement.
    Int32,
    /// 1 byte, 0 or 1.
    Bool,
    /// Two float32: real, imaginary.
    Complex64,
    /// A u32 byte length and UTF-8, per element.
    String,
}

impl DType {
    /// All of them.
    pub const ALL: [DType; 5] = [DType::Float32, DType::Int32, DType::Bool, DType::Complex64, DType::String];

    /// The name in a weight spec.
    pub fn name(self) -> &'static str {
        match self {
            DType::Float32 => "float32",
            DType::Int32 => "int32",
            DType::Bool => "bool",
            DType::Complex64 => "complex64",
            DType::String => "string",
        }
    }

    /// Bytes of an element; a string's depend on the string.
    pub fn size(self) -> Option<u64> {
        match self {
            DType::Float32 | DType::Int32 => Some(4),
            DType::Bool => Some(1),
            DType::Complex64 => Some(8),
            DType::String => None,
        }
    }

    /// Finds a dtype by its name. `file` says where the name stands.
    ///
    /// # Errors
    /// [`Error::Manifest`] for any other name.
    pub fn parse(name: &str, file: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|dtype| dtype.name() == name);
        found.ok_or_else(|| Error::manifest(file, "float32, int32, bool, complex64 or string", format!("\"{name}\"")))
    }
}

/// What a converter stores instead of float32 or int32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantizedDType {
    /// 1 byte, with `min` and `scale`.
    Uint8,
    /// 2 bytes, with `min` and `scale`.
    Uint16,
    /// 2 bytes, IEEE half.
    Float16,
}

impl QuantizedDType {
    /// The name in a weight spec.
    pub fn name(self) -> &'static str {
        match self {
            QuantizedDType::Uint8 => "uint8",
            QuantizedDType::Uint16 => "uint16",
            QuantizedDType::Float16 => "float16",
        }
    }

    /// Bytes of an element.
    pub fn size(self) -> u64 {
        match self {
            QuantizedDType::Uint8 => 1,
            QuantizedDType::Uint16 | QuantizedDType::Float16 => 2,
        }
    }

    /// Finds a type by its name. `file` says where the name stands.
    ///
    /// # Errors
    /// [`Error::Manifest`] for any other name.
    pub fn parse(name: &str, file: &str) -> Result<Self, Error> {
        match name {
            "uint8" => Ok(QuantizedDType::Uint8),
            "uint16" => Ok(QuantizedDType::Uint16),
            "float16" => Ok(QuantizedDType::Float16),
            _ => Err(Error::manifest(file, "uint8, uint16 or float16", format!("\"{name}\""))),
        }
    }
}
